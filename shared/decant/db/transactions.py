"""Transactions and statements on the shared engine.

An unreachable PostgreSQL surfaces as `DatabaseUnavailable`. The pool checks a connection before use, and a first
statement that meets a connection which the server has closed meanwhile is retried once on a new connection.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

from decant.db.driver import (
    ConnectionClosed,
    as_text,
    find_query,
    send_begin,
    send_query,
    send_with_commit,
    was_refused,
)
from decant.db.engine import Database, database
from decant.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from decant.db.pool import ConnectionPool

__all__ = ["JoinedSession", "current_session", "execute", "execute_last", "joined_session", "session"]


@dataclass(slots=True)
class JoinedSession:
    """A session that others join.

    Attributes:
        session: The session.
        task: Asyncio task whose sessions join; a session cannot be used by two tasks at once.
        found: Whether the statement `first` of `joined_session()` returned a row.
        has_parts: Whether a block has joined, so that the next one needs a savepoint to be rolled back alone.
    """

    session: AsyncSession
    task: asyncio.Task[Any] | None
    found: bool = False
    has_parts: bool = False

    @asynccontextmanager
    async def part(self) -> AsyncIterator[AsyncSession]:
        """A block that joins; it is rolled back alone when it raises."""
        if self.has_parts:
            async with self.session.begin_nested():
                yield self.session
            return
        try:
            yield self.session
            if self.session.new or self.session.dirty or self.session.deleted:
                await self.session.flush()
        except BaseException:
            await self.session.rollback()
            raise
        self.has_parts = True


@asynccontextmanager
async def session() -> AsyncIterator[AsyncSession]:
    """A session in a transaction of its own: committed when the block ends well, rolled back when it raises.

    Inside of `joined_session()` it is that session, and its block a part of that transaction.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached or hung up; nothing was kept, unless it hung up during the
            commit itself. Retrying helps once it is back.
        PoolExhausted: no connection became free within `DATABASE_CONNECT_TIMEOUT_S`; the block was not entered.
    """
    if (joined := _joining()) is not None:
        async with joined.part() as part:
            yield part
            if last := part.sync_session.info.pop(_LAST, ""):
                await part.run_sync(lambda plain: plain.connection().exec_driver_sql(last))
        return
    async with _transaction() as (opened, _):
        yield opened


@asynccontextmanager
async def joined_session(first: str = "") -> AsyncIterator[JoinedSession]:
    """A transaction that every `session()` of the same asyncio task joins; committed at the block's end.

    A joining block that raises is rolled back alone. After `session.rollback()` the session can still be used.

    Args:
        first: First statement of the transaction, without parameters. asyncpg sends it together with BEGIN.
    Raises:
        DatabaseUnavailable: as `session()`.
        PoolExhausted: as `session()`.
    """
    async with _transaction(first) as (opened, found):
        joined = JoinedSession(opened, asyncio.current_task(), found)
        token = _joined.set(joined)
        try:
            yield joined
        finally:
            _joined.reset(token)


@asynccontextmanager
async def _transaction(first: str = "") -> AsyncIterator[tuple[AsyncSession, bool]]:
    """A session in a transaction, and whether the statement `first` returned a row."""
    opened = database().sessions()
    with _translated():
        try:
            found = await greenlet_spawn(_begin, opened.sync_session, first)
            yield opened, found
            await greenlet_spawn(_commit, opened.sync_session)
        except BaseException:
            await opened.__aexit__(None, None, None)  # closes it also when this asyncio task is cancelled
            raise


def execute_last(session: AsyncSession, statement: str) -> None:
    """Execute a statement at the end of the session's block, whose exit raises its error; nothing is kept then.

    Args:
        session: The session of a block of `session()` or `joined_session()`.
        statement: Statement without parameters. asyncpg sends it together with COMMIT.
    """
    session.sync_session.info[_LAST] = statement


_LAST = "decant.last"  # key of a session's `info`: its last statement


def current_session() -> AsyncSession | None:
    """The session of `joined_session()` in this asyncio task; None outside of it."""
    joined = _joining()
    return None if joined is None else joined.session


_joined: ContextVar[JoinedSession | None] = ContextVar("decant_joined_session", default=None)


def _joining() -> JoinedSession | None:
    """What sessions of this asyncio task join."""
    joined = _joined.get()
    return joined if joined is not None and joined.task is asyncio.current_task() else None


async def execute(
    statement: Executable | str,
    given: Mapping[str, Any],
    session: AsyncSession | None = None,
    *,
    repeat_with: str | None = None,
) -> Sequence[Mapping[str, Any]]:
    """Run a statement in the transaction of a session, or else as a transaction of its own.

    Without a session, a direct connection needs no round trips for BEGIN and COMMIT. Inside of `joined_session()`, the
    statement is a part of that transaction, as a block of `session()` is.

    Args:
        statement: SQL with named parameters, `:name`, or a statement of SQLAlchemy, which takes longer.
        given: Its parameters.
        session: Session in whose transaction it runs.
        repeat_with: Statement that is run on a new connection when it is not known whether the server ran the first:
            the effect of both is that of the first. Without it, such an error is raised.
    Returns:
        Its rows; none for a statement that returns none.
    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached or hung up; whether the statement was kept is not known.
            Retrying helps once it is back.
    """
    if session is not None:
        return await session.run_sync(lambda opened: _rows(opened.connection(), statement, given))
    if (joined := _joining()) is not None:
        async with joined.part() as part:
            return await execute(statement, given, part)
    opened = database()
    with _translated():
        try:
            return await _execute(opened, statement, given)
        except DBAPIError as error:
            if not (was_refused(error) or (repeat_with and error.connection_invalidated)):
                raise
        return await _execute(opened, repeat_with or statement, given)


async def _execute(
    database: Database, statement: Executable | str, given: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    engine = database.statements.sync_engine
    is_direct = database.statements is not database.transactions and _is_plain(engine)
    query = find_query(statement, engine.dialect) if is_direct else None
    if query is None:
        return await greenlet_spawn(_execute_in_transaction, engine, statement, given)
    connection = cast("ConnectionPool", engine.pool).connect_at_once()
    if connection is None:
        with _connecting():
            connection = (await greenlet_spawn(engine.connect)).connection
    try:
        return await send_query(connection, engine.dialect, query[0], [given[name] for name in query[1]])
    finally:
        connection.close()


def _is_plain(engine: Engine) -> bool:
    """Whether the driver is asyncpg, and nothing, such as a trace, listens to the engine's statements."""
    return engine.dialect.driver == "asyncpg" and not (engine._has_events or engine._should_log_info())  # noqa: SLF001


def _execute_in_transaction(
    engine: Engine, statement: Executable | str, given: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    with _connecting():
        connection = engine.connect()
    with connection:
        rows = _rows(connection, statement, given)
        connection.commit()
    return rows


def _rows(connection: Connection, statement: Executable | str, given: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    result = connection.execute(as_text(statement) if isinstance(statement, str) else statement, given)
    return cast("Sequence[Mapping[str, Any]]", result.mappings().all()) if result.returns_rows else ()


def _begin(session: Session, first: str = "") -> bool:
    """Begin the session's transaction, on a new connection if the server has closed the pooled connection.

    Returns:
        Whether the statement `first` returned a row.
    """

    def send() -> bool:
        transaction = session.begin()
        try:
            with _connecting():
                connection = session.connection()
            return send_begin(connection, first)
        except BaseException:
            transaction.rollback()
            raise

    try:
        return send()
    except ConnectionClosed:
        return send()


def _commit(session: Session) -> None:
    """Commit, with a last statement, and close; a single switch to a greenlet for both."""
    if last := session.info.pop(_LAST, ""):
        if not session.in_transaction():
            _begin(session)
        send_with_commit(session.connection(), last)
    session.commit()
    session.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, ConnectionClosed) as error:
        if isinstance(error, DBAPIError) and not (error.connection_invalidated or _sqlstate(error).startswith(_AWAY)):
            raise
        raise DatabaseUnavailable("The database cannot be reached.") from error


@contextmanager
def _connecting() -> Iterator[None]:
    """Take the connection at once, so that a socket's error here is known to be the database's."""
    try:
        yield
    except (OSError, OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable("The database cannot be reached.") from error


_AWAY = ("08", "28", "53", "57P")
"""SQLSTATE classes: connection exception, refused login, insufficient resources, shutdown or crash.

Source: PostgreSQL, appendix A, error codes.
"""


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
