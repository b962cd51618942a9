"""Check that a connection from the pool is alive, and recognise a connection that the server closed after the check.

A connection that was in use within the last second, and whose socket has nothing to read, has not been closed: this
check takes a microsecond, where a ping takes a round trip, a third of the time of an enqueue. A connection that was
idle for longer is pinged: a process that was frozen does not notice that the server closed it.

The server can close a connection right after the check. The first statement of a transaction then fails, and the
callers of this module repeat it on a new connection.
"""

import select
import time
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.util import await_only

__all__ = ["ConnectionClosed", "install", "send_begin", "was_refused"]

_MOMENT_S = 1.0


class ConnectionClosed(Exception):
    """The server had closed the connection before the transaction began."""


def send_begin(connection: Connection) -> None:
    """Send BEGIN now rather than with the first statement, so that a closed connection is noticed before any other.

    Both drivers send BEGIN in a round trip of its own, so this costs nothing.

    Raises:
        ConnectionClosed: the server had closed the connection; a new connection may work.
    """
    dialect, driver = connection.dialect, connection.connection.dbapi_connection
    try:
        await_only(_begin(driver))
    except dialect.loaded_dbapi.Error as error:
        if not dialect.is_disconnect(error, driver, None):
            raise
        connection.invalidate(error)
        raise ConnectionClosed from error
    except BaseException as error:
        # When this is cancelled, the server may have begun a transaction of which the driver does not know. The pool
        # would not roll it back, and the next statements on the connection would never be committed.
        connection.invalidate(error)
        raise


async def _begin(driver: Any) -> None:
    # Neither driver has a public way to send BEGIN alone.
    if hasattr(driver, "_start_transaction"):  # SQLAlchemy's adapter of asyncpg
        if driver._transaction is None:  # noqa: SLF001
            await driver._start_transaction()  # noqa: SLF001
    else:
        psycopg = driver.driver_connection
        async with psycopg.lock:
            await psycopg.wait(psycopg._start_query())  # noqa: SLF001


_SHUT_DOWN = frozenset({"57P01", "57P02", "57P03"})
"""The server ended the session in place of running the statement.

Source: PostgreSQL, appendix A: admin_shutdown, crash_shutdown, cannot_connect_now.
"""


def was_refused(error: DBAPIError) -> bool:
    """Whether the server closed the connection without running the statement, so that it can be repeated safely."""
    return error.connection_invalidated and (
        getattr(error.orig, "sqlstate", None) in _SHUT_DOWN or "connection is closed" in str(error.orig)
    )


def install(engine: Engine) -> None:
    """Check every connection that the engine's pool hands out, and replace dead ones."""
    dialect = engine.dialect

    @event.listens_for(engine, "connect")
    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.time()  # the monotonic clock stands still in a frozen process

    @event.listens_for(engine, "checkout")
    def look(connection: Any, record: Any, _proxy: object) -> None:
        if abs(time.time() - record.info["used_at"]) < _MOMENT_S and _is_quiet(connection.driver_connection):
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


def _is_quiet(connection: Any) -> bool:
    """Whether it is open as far as we know, and there is nothing to read: no farewell, no end, no error."""
    if hasattr(connection, "is_closed"):  # asyncpg's, which tells of its socket in no other way
        closed, socket = connection.is_closed(), connection._transport.get_extra_info("socket")  # noqa: SLF001
    else:
        closed, socket = connection.closed, connection
    if closed:
        return False
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return not poll.poll(0)
