"""The transaction of a task that takes a session: the worker ends it, and not the task's code."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from decant.errors import TaskStopped

__all__ = ["kept_open"]


@contextmanager
def kept_open(session: AsyncSession) -> Iterator[None]:
    """Let the block use the session's transaction, and not end it. Savepoints are not affected.

    Raises:
        TaskStopped: the block called `commit()`, which has no effect, or `rollback()`.
    """
    plain = session.sync_session
    transaction = plain.get_transaction()
    event.listen(plain, "before_commit", _refuse)
    try:
        yield
    finally:
        event.remove(plain, "before_commit", _refuse)
    if plain.get_transaction() is not transaction:
        raise _stopped("rollback()")


def _refuse(session: Session) -> None:
    if not session.in_nested_transaction():
        raise _stopped("commit()")


def _stopped(method: str) -> TaskStopped:
    return TaskStopped(
        f"It called {method} on its session, whose transaction the worker commits together with the task's result. "
        "Use `async with session.begin_nested()` for a part that may be rolled back, and `db.session()` for a "
        "transaction of its own."
    )
