"""Call functions after a session's transaction has committed; they are dropped when it rolls back."""

from collections.abc import Awaitable, Callable

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util import await_only

__all__ = ["after_commit", "waiting"]

type Callback = Callable[[], Awaitable[None]]

_WAITING = "decant.after_commit"  # key of Session.info: callbacks by the open transaction that registered them
_COMMITTED = "decant.committed"  # key of Session.info: callbacks to call when the connection is released


def after_commit(session: AsyncSession, callback: Callback) -> None:
    """Call a function after the session's transaction has committed and released its connection; `commit()` awaits it.

    A callback registered in a savepoint is dropped when the savepoint rolls back. When the savepoint is released, the
    callback becomes that of the outer savepoint or transaction, which may roll back too.
    """
    plain = session.sync_session
    if not plain.in_transaction():
        plain.begin()  # as a statement does
    if _WAITING not in plain.info:
        plain.info[_WAITING], plain.info[_COMMITTED] = {}, []
    transaction = plain.get_nested_transaction() or plain.get_transaction()
    plain.info[_WAITING].setdefault(transaction, []).append(callback)


def waiting(session: AsyncSession) -> list[Callback]:
    """Callbacks that wait for the commit of the session's transaction."""
    by_transaction: dict[SessionTransaction, list[Callback]] = session.sync_session.info.get(_WAITING, {})
    return [callback for callbacks in by_transaction.values() for callback in callbacks]


# The hooks are those of all sessions: to add a hook to one session takes 0.1 ms.


@event.listens_for(Session, "after_commit")
def _committed(session: Session) -> None:
    pending: dict[SessionTransaction, list[Callback]] | None = session.info.get(_WAITING)
    if pending is None:
        return
    savepoint = session.get_nested_transaction()
    if savepoint is None:
        session.info[_COMMITTED] += [callback for callbacks in pending.values() for callback in callbacks]
    elif savepoint in pending and savepoint.parent is not None:
        pending.setdefault(savepoint.parent, []).extend(pending.pop(savepoint))


@event.listens_for(Session, "after_transaction_end")
def _ended(session: Session, transaction: SessionTransaction) -> None:
    pending: dict[SessionTransaction, list[Callback]] | None = session.info.get(_WAITING)
    if pending is None:
        return
    pending.pop(transaction, None)
    if transaction.parent is not None:
        return
    callbacks, session.info[_COMMITTED] = session.info[_COMMITTED], []
    for callback in callbacks:
        await_only(callback())  # the hook runs inside `await session.commit()`
