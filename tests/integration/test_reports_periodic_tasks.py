"""Periodic tasks: their options apply to each tick, and one whose rows cannot be created does not stop the sweep.

Reports: riverqueue/river 161 and 357; celery/celery 591, 2278 and 2283; celery/django-celery-beat 748.
"""

from contextlib import suppress
from typing import Any

import pytest

from decant.tasks import task
from decant.tasks.schedule import every
from tests import work
from tests.worlds import PostgresWorld, World, execute, sweep_once

pytestmark = pytest.mark.usefixtures("new_tasks")


def define(name: str, seconds: int, **options: Any) -> None:
    """A periodic task that does nothing."""

    async def beat() -> None:
        """Nothing."""

    task(name=name, schedule=every(seconds), **options)(beat)


async def rows(name: str) -> list[Any]:
    """The rows of a periodic task's ticks."""
    return await execute("SELECT eta, expires, state FROM decant.task WHERE name = :name ORDER BY eta", name=name)


@pytest.mark.usefixtures("database_url")
async def test_unique_task_gets_a_row_for_each_tick() -> None:
    """A unique task that runs every 10 s has the ticks of the next minute."""
    define("reports.poll", 10, unique=True)
    await sweep_once()  # begins the schedule

    await sweep_once()

    assert len(await rows("reports.poll")) in {6, 7}


@pytest.mark.usefixtures("database_url")
async def test_expires_counts_from_the_tick() -> None:
    """No run expires before it is due."""
    define("reports.sample", 10, expires=5)
    await sweep_once()  # begins the schedule

    await sweep_once()

    ticks = await rows("reports.sample")
    assert ticks
    assert [row for row in ticks if row["expires"] <= row["eta"]] == []


@pytest.mark.usefixtures("database_url")
async def test_idle_worker_runs_ticks_that_expire_soon() -> None:
    """A worker that is always in time revokes none of the ticks."""
    define("reports.beat", 30, expires=10)
    world = PostgresWorld()
    await world.run()  # begins the schedule

    for _ in range(24):
        await world.advance(5)
        await world.run()

    states = [row["state"] for row in await rows("reports.beat")]
    assert ("SUCCESS" in states, "REVOKED" in states) == (True, False)


@pytest.mark.usefixtures("database_url")
async def test_unique_function_that_raises_does_not_stop_the_sweep() -> None:
    """The sweeper still detects lost workers and creates the ticks of other tasks; it may raise afterwards."""
    define("reports.bad", 1, unique=lambda day: day)  # requires an argument that a tick does not pass
    define("reports.good", 1)
    job = await work.add.delay(1)
    lost = "UPDATE decant.task SET state = 'STARTED', wake_at = NULL, lease_expires_at = now() - interval '1 min'"
    await execute(lost)

    for _sweep in ("begins the schedules", "creates ticks"):
        with suppress(Exception):
            await sweep_once()

    assert (await job.state).value == "RETRY"
    assert await rows("reports.good") != []


async def test_unique_function_receives_default_arguments(world: World) -> None:
    """A call that passes the default value is a duplicate of a call that leaves it out."""

    @task(name="reports.report", unique=lambda day: day)
    async def report(day: str = "today") -> None:
        """Nothing."""

    job = await report.delay()

    duplicate = await report.delay("today")
    await world.run()

    assert duplicate == job
