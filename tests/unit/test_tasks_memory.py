"""The store in memory: transactions, workers on event loops with another task factory, and the memory of runs."""

import asyncio
import gc
from weakref import ref

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks import current_run, task
from decant.testing import memory
from tests import work


async def test_equal_calls_of_a_transaction_are_one_task() -> None:
    """A task that is not committed yet is found by the same transaction, also from a savepoint."""
    with memory() as broker:
        async with AsyncSession() as session, session.begin():
            first = await work.alone.apply_async((1,), session=session)
            async with session.begin_nested():
                second = await work.alone.apply_async((1,), session=session)

        assert first == second
        assert [str(task_id) for task_id in broker.store.rows] == [first.id]


async def test_rolled_back_task_is_not_found() -> None:
    """After a rollback, an equal call is a new task."""
    with memory() as broker:
        async with AsyncSession() as session:
            first = await work.alone.apply_async((1,), session=session)
            await session.rollback()
            second = await work.alone.apply_async((1,), session=session)
            await session.commit()

        assert first != second
        assert [str(task_id) for task_id in broker.store.rows] == [second.id]


async def test_savepoint_that_is_rolled_back_takes_its_tasks_with_it() -> None:
    """The tasks of the outer transaction are kept."""
    with memory() as broker:
        async with AsyncSession() as session, session.begin():
            kept = await work.add.apply_async((1,), session=session)
            savepoint = await session.begin_nested()
            await work.add.apply_async((2,), session=session)
            await savepoint.rollback()

        assert [str(task_id) for task_id in broker.store.rows] == [kept.id]


async def test_outcomes_are_recorded_with_an_eager_task_factory() -> None:
    """The first outcome of a batch is part of it although the loop starts new tasks at once."""
    loop = asyncio.get_running_loop()
    with memory() as broker:
        job = await work.add.delay(1, 2)
        factory = loop.get_task_factory()
        loop.set_task_factory(asyncio.eager_task_factory)
        try:
            await broker.run()
        finally:
            loop.set_task_factory(factory)

        assert await job.result == 3


@pytest.mark.usefixtures("new_tasks")
async def test_finished_run_is_freed_without_the_garbage_collector() -> None:
    """No reference cycle of a run is left to it, whose passes would cost a worker more than the runs."""
    runs = []

    @task(name="freed")
    async def freed() -> None:
        run = current_run()
        assert run is not None
        runs.append(ref(run))

    gc.disable()
    try:
        with memory() as broker:
            await freed.delay()
            await broker.run()
    finally:
        gc.enable()

    assert [run() for run in runs] == [None]
