"""The worker without SQS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID

import pytest

from decant.tasks import State, chain, every, task
from decant.tasks.registry import registry
from decant.tasks.store.postgres import PostgresStore
from decant.worker import run_forever
from tests import work
from tests.worlds import PostgresWorld, execute

pytestmark = pytest.mark.usefixtures("database_url")


@asynccontextmanager
async def serving(poll_s: float = 1) -> AsyncIterator[None]:
    """A worker that runs inside the block."""
    worker = asyncio.create_task(run_forever(poll_s))
    try:
        yield
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def test_task_is_run_without_a_queue() -> None:
    """A task without a message is run."""
    async with serving():
        job = await work.add.delay(1, 2)

        assert await job.get(timeout=5) == 3


async def test_task_that_waited_before_the_worker_came_is_run() -> None:
    """A task that was enqueued before the worker started is run."""
    job = await work.add.delay(1, 2)

    async with serving():
        assert await job.get(timeout=5) == 3


async def test_retry_and_workflow_are_run() -> None:
    """Retries and workflows continue."""
    async with serving():
        retried = await work.retries_itself.delay(0.01)
        chained = await chain(work.add.s(1, 2), work.add.s(10)).delay()

        assert await chained.get(timeout=5) == 13
        assert await retried.get(timeout=10, propagate=False) is None


async def test_row_of_a_process_that_was_killed_is_run_again() -> None:
    """The worker sweeps when it starts."""
    job = await work.add.delay(1, 2)
    await PostgresStore().claim([UUID(job.id)], list(registry), 1, alone=True)
    await PostgresWorld().advance(2)

    async with serving():
        assert await job.get(timeout=5) == 3


async def test_stopped_worker_gives_back_what_it_runs() -> None:
    """A cancelled worker releases its tasks."""
    async with serving():
        job = await work.sleeps.delay(30)
        while await job.state is not State.STARTED:  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.01)
    status = await job.status()

    assert (status.state, status.retries) == (State.PENDING, 0)


@pytest.mark.usefixtures("new_tasks")
async def test_ticks_and_countdowns_start_on_time() -> None:
    """The worker waits until the next task is due and not until its next poll, which is half a minute away."""

    @task(name="beat", schedule=every(1))
    async def beat() -> None:
        """Nothing."""

    async with serving(poll_s=30):
        job = await work.add.apply_async((1, 2), countdown=0.5)
        await job.get(timeout=10)
        while await count_started("beat") < 3:  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.1)

    (row,) = await execute("SELECT max(date_started - eta) AS late FROM decant.task WHERE state = 'SUCCESS'")
    assert row["late"] < timedelta(seconds=5)


async def count_started(name: str) -> int:
    """Number of tasks of this name that were started."""
    started = "SELECT count(date_started) AS started FROM decant.task WHERE name = :name"
    (row,) = await execute(started, name=name)
    return int(row["started"])
