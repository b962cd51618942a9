"""Callbacks of a session's commit, and what rollbacks of transactions and savepoints leave of them."""

from contextlib import suppress

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.commit import after_commit
from decant.testing import memory
from tests import work

SAVEPOINTS = [
    pytest.param("inner", ["root", "outer"], id="inner savepoint"),
    pytest.param("outer", ["root"], id="outer savepoint with a released savepoint"),
    pytest.param("root", [], id="transaction with released savepoints"),
    pytest.param(None, ["root", "outer", "inner"], id="nothing"),
]


class Calls:
    """Callbacks that note their names."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.names: list[str] = []

    def register(self, name: str) -> None:
        """Register a callback."""

        async def note() -> None:
            self.names.append(name)

        after_commit(self.session, note)


@pytest.fixture
def calls() -> Calls:
    """Callbacks of a session without a database."""
    return Calls(AsyncSession())


def fail(name: str, failing: str | None) -> None:
    """End a block with an error, if it is the failing block."""
    if name == failing:
        raise LookupError(name)


@pytest.mark.parametrize(("failing", "called"), SAVEPOINTS)
async def test_callbacks_of_what_was_rolled_back_are_dropped(
    calls: Calls, failing: str | None, called: list[str]
) -> None:
    """A rollback drops the callbacks of its block and of the savepoints that were released in it."""
    session = calls.session
    with suppress(LookupError):
        async with session.begin():
            calls.register("root")
            with suppress(LookupError):
                async with session.begin_nested():
                    calls.register("outer")
                    with suppress(LookupError):
                        async with session.begin_nested():
                            calls.register("inner")
                            fail("inner", failing)
                    fail("outer", failing)
            fail("root", failing)

    async with session.begin():
        calls.register("next")

    assert calls.names == [*called, "next"]


@pytest.mark.parametrize("method", ["rollback", "close"])
async def test_callbacks_of_open_savepoints_end_with_the_transaction(calls: Calls, method: str) -> None:
    """Rolling back or closing the session drops the callbacks of savepoints that are open or released."""
    session = calls.session
    await session.begin()
    await session.begin_nested()
    calls.register("outer")
    async with session.begin_nested():
        calls.register("inner")
    await getattr(session, method)()

    async with session.begin():
        calls.register("next")

    assert calls.names == ["next"]


async def test_commit_of_the_session_releases_open_savepoints(calls: Calls) -> None:
    """`session.commit()` commits open savepoints, whose callbacks are called."""
    session = calls.session
    await session.begin_nested()
    await session.begin_nested()
    calls.register("inner")
    await session.commit()

    assert calls.names == ["inner"]


async def test_task_of_a_released_savepoint_is_found_by_its_transaction() -> None:
    """The store in memory does not insert an equal call of the same transaction again."""
    with memory() as broker:
        async with AsyncSession() as session, session.begin():
            async with session.begin_nested():
                first = await work.alone.apply_async((1,), session=session)
            second = await work.alone.apply_async((1,), session=session)

        assert first == second
        assert [str(task_id) for task_id in broker.store.rows] == [first.id]
