"""The store in memory: transactions, and workers on event loops with another task factory."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

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
