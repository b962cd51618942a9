"""Writing rows and announcing them: at once, or when the caller's transaction commits."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util import await_only

from decant.tasks.announce import announce
from decant.tasks.records import Enqueued, NewTask
from decant.tasks.store import store

__all__ = ["enqueue"]

_WAITING = "decant.tasks"  # key of Session.info: what each open transaction of the session has enqueued


async def enqueue(tasks: Sequence[NewTask], session: AsyncSession | None) -> list[UUID]:
    """Write tasks, and announce them once they are committed.

    Returns:
        The id of each, or of the earlier task that stands for it.
    Raises:
        DatabaseUnavailable: PostgreSQL is away; nothing was written, and retrying helps once it is back.
    """
    written = await store().insert(tasks, session)
    if session is None:
        await announce(written)
    else:
        _announce_after_commit(session.sync_session, written)
    return [row.id for row in written]


def _announce_after_commit(session: Session, rows: Sequence[Enqueued]) -> None:
    if _WAITING not in session.info:
        session.info[_WAITING] = {}
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_soft_rollback", _rolled_back)
    transaction = session.get_nested_transaction() or session.get_transaction()
    session.info[_WAITING].setdefault(transaction, []).extend(rows)


def _committed(session: Session) -> None:
    if session.in_nested_transaction():
        return  # a savepoint was released: its rows wait for what is around it
    waiting: dict[SessionTransaction, list[Enqueued]] = session.info[_WAITING]
    rows = [row for rows in waiting.values() for row in rows]
    waiting.clear()
    await_only(announce(rows))  # the hook runs inside `await session.commit()`, which waits for it


def _rolled_back(session: Session, transaction: SessionTransaction) -> None:
    session.info[_WAITING].pop(transaction, None)
