"""The worker without SQS: one process that serves everything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import pytest

from decant.tasks import State, chain
from decant.tasks.registry import registry
from decant.tasks.store.postgres import PostgresStore
from decant.worker import run_forever
from tests import work
from tests.worlds import PostgresWorld

pytestmark = pytest.mark.usefixtures("database_url")


@asynccontextmanager
async def serving() -> AsyncIterator[None]:
    """A worker that runs inside the block."""
    worker = asyncio.create_task(run_forever())
    try:
        yield
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def test_task_is_run_without_a_queue() -> None:
    """The row is all there is."""
    async with serving():
        job = await work.add.delay(1, 2)

        assert await job.get(timeout=5) == 3


async def test_task_that_waited_before_the_worker_came_is_run() -> None:
    """What was enqueued while nothing ran is found."""
    job = await work.add.delay(1, 2)

    async with serving():
        assert await job.get(timeout=5) == 3


async def test_retry_and_workflow_are_run() -> None:
    """What falls due by what runs is found too."""
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
    """The next one finds it as if it had never been started."""
    async with serving():
        job = await work.sleeps.delay(30)
        while await job.state is not State.STARTED:  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.01)
    status = await job.status()

    assert (status.state, status.retries) == (State.PENDING, 0)
