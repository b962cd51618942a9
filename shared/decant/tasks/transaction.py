"""The transaction of a task that takes a session: the worker ends it, and not the task's code."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from decant.errors import TaskStopped

__all__ = ["kept_open"]

_KEPT_OPEN = "decant.kept_open"  # key of a session's `info`


@contextmanager
def kept_open(session: AsyncSession) -> Iterator[None]:
    """Let the block use the session's transaction, and not end it. Savepoints are not affected.

    Raises:
        TaskStopped: the block called `commit()`, which has no effect, or `rollback()`.
    """
    plain = session.sync_session
    transaction = plain.get_transaction()
    plain.info[_KEPT_OPEN] = True
    try:
        yield
    finally:
        del plain.info[_KEPT_OPEN]
    if plain.get_transaction() is not transaction:
        raise _stopped("rollback()")


@event.listens_for(Session, "before_commit")  # once for all sessions: a listener of one session costs 0.1 ms
def _refuse(session: Session) -> None:
    if _KEPT_OPEN in session.info and not session.in_nested_transaction():
        raise _stopped("commit()")


def _stopped(method: str) -> TaskStopped:
    return TaskStopped(
        f"It called {method} on its session, whose transaction the worker commits together with the task's result. "
        "Use `async with session.begin_nested()` for a part that may be rolled back, and `db.session()` for a "
        "transaction of its own."
    )
