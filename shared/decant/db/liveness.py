"""Whether a connection from the pool still lives: asked over the network only when its socket cannot tell.

A connection that was in use a moment ago, and whose socket has nothing to read, has not been hung up on: looking costs
a microsecond where a ping costs a round trip, a third of what enqueuing a task takes. One that was idle longer is asked
all the same: a process that was frozen never hears that the other side has gone.
"""

import select
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

__all__ = ["install"]

_MOMENT_S = 1.0


def install(engine: Engine) -> None:
    """Let the engine's pool look at each connection that it hands out, and replace those that are dead."""
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
