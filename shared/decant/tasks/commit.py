"""Call functions after a session's transaction has committed; they are dropped when it rolls back."""

from collections.abc import Awaitable, Callable

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util import await_only

__all__ = ["after_commit"]

type Callback = Callable[[], Awaitable[None]]

_WAITING = "decant.after_commit"  # key of Session.info: callbacks by the open transaction that registered them
_COMMITTED = "decant.committed"  # key of Session.info: callbacks to call when the connection is released


def after_commit(session: AsyncSession, callback: Callback) -> None:
    """Call a function after the session's transaction has committed and released its connection; `commit()` awaits it.

    A callback registered in a savepoint is dropped when the savepoint rolls back, and otherwise waits for the outer
    transaction.
    """
    plain = session.sync_session
    if _WAITING not in plain.info:
        plain.info[_WAITING], plain.info[_COMMITTED] = {}, []
        event.listen(plain, "after_commit", _committed)
        event.listen(plain, "after_soft_rollback", _rolled_back)
        event.listen(plain, "after_transaction_end", _ended)
    transaction = plain.get_nested_transaction() or plain.get_transaction()
    plain.info[_WAITING].setdefault(transaction, []).append(callback)


def _committed(session: Session) -> None:
    if session.in_nested_transaction():
        return
    waiting: dict[SessionTransaction, list[Callback]] = session.info[_WAITING]
    session.info[_COMMITTED] += [callback for callbacks in waiting.values() for callback in callbacks]
    waiting.clear()


def _rolled_back(session: Session, transaction: SessionTransaction) -> None:
    session.info[_WAITING].pop(transaction, None)


def _ended(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is not None:
        return
    callbacks, session.info[_COMMITTED] = session.info[_COMMITTED], []
    for callback in callbacks:
        await_only(callback())  # the hook runs inside `await session.commit()`
