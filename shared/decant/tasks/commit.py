"""Work that is done when a session's transaction commits, and never when it rolls back."""

from collections.abc import Awaitable, Callable

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util import await_only

__all__ = ["after_commit"]

type Work = Callable[[], Awaitable[None]]

_WAITING = "decant.after_commit"  # key of Session.info: what each open transaction of the session has asked for
_COMMITTED = "decant.committed"  # likewise: what is to be done as soon as its connection is free


def after_commit(session: AsyncSession, work: Work) -> None:
    """Do work once the session's transaction has committed and let go of its connection; `commit()` waits for it.

    What a savepoint asked for is forgotten when it is rolled back, and waits for what is around it otherwise.
    """
    plain = session.sync_session
    if _WAITING not in plain.info:
        plain.info[_WAITING], plain.info[_COMMITTED] = {}, []
        event.listen(plain, "after_commit", _committed)
        event.listen(plain, "after_soft_rollback", _rolled_back)
        event.listen(plain, "after_transaction_end", _ended)
    transaction = plain.get_nested_transaction() or plain.get_transaction()
    plain.info[_WAITING].setdefault(transaction, []).append(work)


def _committed(session: Session) -> None:
    if session.in_nested_transaction():
        return
    waiting: dict[SessionTransaction, list[Work]] = session.info[_WAITING]
    session.info[_COMMITTED] += [work for works in waiting.values() for work in works]
    waiting.clear()


def _rolled_back(session: Session, transaction: SessionTransaction) -> None:
    session.info[_WAITING].pop(transaction, None)


def _ended(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is not None:
        return
    works, session.info[_COMMITTED] = session.info[_COMMITTED], []
    for work in works:
        await_only(work())  # the hook runs inside `await session.commit()`
