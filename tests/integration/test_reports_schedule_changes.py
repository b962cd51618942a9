"""After a schedule is changed, or removed and restored, its past ticks are not missed ticks.

Reports: celery/django-celery-beat 683, celery/celery 2531 and 370, oban-bg/oban 1156.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from decant.tasks import task
from decant.tasks.registry import registry
from decant.tasks.schedule import Schedule, cron, every
from tests.worlds import execute, sweep_once

pytestmark = pytest.mark.usefixtures("database_url", "new_tasks")


async def deploy(schedule: Schedule | None) -> None:
    """Define the task with the schedule, as a new version of the code does, and run the sweeper."""
    registry.pop("reports.report", None)

    @task(name="reports.report", schedule=schedule)
    async def report() -> None:
        """Nothing."""

    await sweep_once()


async def let_time_pass(time: timedelta) -> None:
    """Let the last tick be that long ago."""
    await execute("UPDATE decant.schedule SET ticked_at = :time", time=datetime.now(UTC) - time)


async def ticks() -> list[Any]:
    """The rows of the task's ticks."""
    return await execute("SELECT eta FROM decant.task WHERE name = 'reports.report'")


def daily(time: datetime) -> cron:
    """A schedule that ticks each day at the minute of a time."""
    return cron(f"{time.minute} {time.hour} * * *")


async def test_daily_schedule_moves_to_an_hour_already_past() -> None:
    """The first run at the new hour is tomorrow's."""
    now = datetime.now(UTC)
    await deploy(daily(now - timedelta(hours=6)))
    await let_time_pass(timedelta(hours=6))

    await deploy(daily(now - timedelta(hours=2)))

    assert await ticks() == []


async def test_monthly_schedule_becomes_hourly() -> None:
    """With missed="all" no hour before the change is made up."""
    now = datetime.now(UTC)
    await deploy(cron(f"0 3 {(now - timedelta(days=20)).day} * *", missed="all"))
    await let_time_pass(timedelta(days=20))

    await deploy(cron("17 * * * *", missed="all"))

    assert len(await ticks()) <= 1  # a tick can be due within the current minute


async def test_schedule_is_removed_and_restored() -> None:
    """Hours during which the schedule was absent are not made up."""
    await deploy(every(3600, missed="all"))
    await let_time_pass(timedelta(days=30))
    await deploy(None)

    await deploy(every(3600, missed="all"))

    assert len(await ticks()) <= 1  # a tick can be due within the current minute


async def test_unchanged_schedule_makes_up_missed_ticks() -> None:
    """Five hours without a sweeper are five runs, and a sixth that can be due within the current minute."""
    await deploy(every(3600, missed="all"))
    await let_time_pass(timedelta(hours=5))

    await sweep_once()

    assert len(await ticks()) in {5, 6}
