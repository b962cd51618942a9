"""Statements that are sent past SQLAlchemy.

BEGIN is sent at once, statements can share the message of BEGIN or COMMIT, and a single statement without a
transaction needs half of the processor time that `Connection.execute` needs.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Executable, PoolProxiedConnection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only, greenlet_spawn

__all__ = ["ConnectionClosed", "as_text", "find_query", "send_begin", "send_query", "send_with_commit", "was_refused"]


class ConnectionClosed(Exception):
    """The server had closed the connection before the transaction began."""


def send_begin(connection: Connection, first: str = "") -> bool:
    """Send BEGIN now rather than with the first statement, so that a closed connection is noticed before any other.

    Both drivers send BEGIN in a round trip of its own, so this costs nothing.

    Args:
        connection: A connection without a transaction.
        first: First statement of the transaction, without parameters. asyncpg sends it with BEGIN.
    Returns:
        Whether `first` returned a row.
    Raises:
        ConnectionClosed: the server had closed the connection; a new connection may work.
        DBAPIError: `first` failed.
    """
    dialect, driver = connection.dialect, connection.connection.dbapi_connection
    try:
        return await_only(_begin(driver, first))
    except dialect.loaded_dbapi.Error as error:
        is_closed = dialect.is_disconnect(error, driver, None)
        connection.invalidate(error)
        if is_closed:
            raise ConnectionClosed from error
        raise DBAPIError.instance(first, None, error, dialect.loaded_dbapi.Error, dialect=dialect) from error
    except BaseException as error:
        # When this is cancelled, the server may have begun a transaction that the driver has not recorded. The pool
        # would not roll it back, and the next statements on the connection would never be committed.
        connection.invalidate(error)
        raise


async def _begin(driver: Any, first: str) -> bool:
    # Neither driver has a public way to send BEGIN alone.
    if hasattr(driver, "_start_transaction"):  # SQLAlchemy's adapter of asyncpg
        if driver._transaction is None:  # noqa: SLF001
            driver.driver_connection.first = first
            await driver._start_transaction()  # noqa: SLF001
        return bool(first) and not driver.driver_connection.begun.endswith(" 0")
    psycopg = driver.driver_connection
    async with psycopg.lock:
        await psycopg.wait(psycopg._start_query())  # noqa: SLF001
    return bool(first) and await (await psycopg.execute(first)).fetchone() is not None


def send_with_commit(connection: Connection, last: str) -> None:
    """Run a statement without parameters as the last of the transaction. asyncpg sends it with COMMIT."""
    driver: Any = connection.connection.driver_connection
    if hasattr(driver, "last"):
        driver.last = last
    else:
        connection.exec_driver_sql(last)


def find_query(statement: Executable | str, dialect: Dialect) -> tuple[str, Sequence[str]] | None:
    """SQL for asyncpg, and the names of its parameters in order; None when SQLAlchemy converts its parameters."""
    return _compiled(statement, dialect) if isinstance(statement, str) else None


@lru_cache(512)
def _compiled(statement: str, dialect: Dialect) -> tuple[str, Sequence[str]]:
    compiled = as_text(statement).compile(dialect=dialect)
    return compiled.string, compiled.positiontup or ()


as_text = lru_cache(512)(text)
"""A statement of SQLAlchemy from SQL."""


async def send_query(
    connection: PoolProxiedConnection, dialect: Dialect, query: str, values: Sequence[Any]
) -> Sequence[Mapping[str, Any]]:
    """Run a query on an asyncpg connection in autocommit mode, outside of SQLAlchemy's greenlets.

    Raises:
        DBAPIError: as `Connection.execute`.
    """
    driver, base = cast("Any", connection.dbapi_connection), dialect.loaded_dbapi.Error
    try:
        rows: Sequence[Mapping[str, Any]] = await driver.driver_connection.fetch(query, *values)
    except Exception as error:
        try:
            driver._handle_exception(error)  # noqa: SLF001  # there is no public translation to the dialect's errors
        except base as translated:
            is_closed = dialect.is_disconnect(translated, driver, None)
            if is_closed:
                await greenlet_spawn(connection.invalidate, translated)
            raise DBAPIError.instance(
                query, None, translated, base, hide_parameters=True, connection_invalidated=is_closed, dialect=dialect
            ) from translated
        raise
    except BaseException as error:  # cancelled: it is not known what the server does
        await greenlet_spawn(connection.invalidate, error)
        raise
    return rows


_SHUT_DOWN = frozenset({"57P01", "57P02", "57P03"})
"""The server ended the session in place of running the statement.

Source: PostgreSQL, appendix A: admin_shutdown, crash_shutdown, cannot_connect_now.
"""


def was_refused(error: DBAPIError) -> bool:
    """Whether the server closed the connection without running the statement, so that it can be repeated safely."""
    return error.connection_invalidated and (
        getattr(error.orig, "sqlstate", None) in _SHUT_DOWN or "connection is closed" in str(error.orig)
    )
