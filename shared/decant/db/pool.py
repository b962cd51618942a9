"""The connection pool: it checks connections before use, and lets the runs of tasks wait for their turn.

A connection that was in use within the last second, and whose socket has nothing to read, has not been closed: this
check takes a microsecond, where a ping takes a round trip, a third of the time of an enqueue. A connection that was
idle for longer is pinged: a process that was frozen does not notice that the server closed it.

The server can close a connection right after the check. The first statement of a transaction then fails, and the
callers of this module repeat it on a new connection.
"""

import asyncio
import os
import select
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, Engine, PoolProxiedConnection, event
from sqlalchemy.exc import InvalidatePoolError, MissingGreenlet
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from decant.errors import PoolExhausted

__all__ = ["ConnectionPool", "check_connections", "wait_for_turn"]

_HOLDER = "decant.holder"  # key of a connection record's `record_info`
_run: ContextVar[object | None] = ContextVar("decant_pool_run", default=None)


def wait_for_turn() -> None:
    """Let the current asyncio task, and those that it starts, wait for a free connection without limit, in order.

    The wait has a limit, `DATABASE_CONNECT_TIMEOUT_S`, while they hold a connection already: such tasks could otherwise
    wait for each other for ever. They share all connections of the pool but one, which remains for other statements of
    the process.
    """
    _run.set(object())


@dataclass(frozen=True, slots=True, eq=False)
class _Holder:
    """Use of a connection.

    Attributes:
        task: The asyncio task that took the connection.
        run: The call of `wait_for_turn` whose asyncio tasks it is part of.
        took_turn: It counts among the connections of such tasks.
    """

    task: asyncio.Task[Any] | None
    run: object | None
    took_turn: bool


class ConnectionPool(AsyncAdaptedQueuePool):
    """Pool of an engine.

    Raises:
        PoolExhausted: no connection became free in time.
        RuntimeError: the asyncio task that asks for a connection holds all of them, and would wait for itself.
    """

    _sqla_logger_namespace = "sqlalchemy.pool.impl.AsyncAdaptedQueuePool"  # otherwise INFO lines appear in our log

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._holders = set[_Holder]()
        self._turns = asyncio.Semaphore(max(1, self.size() - 1))
        self._returned: ConnectionPoolEntry | None = None  # the last one; it is taken first, unless it is in use

    def connect_at_once(self) -> PoolProxiedConnection | None:
        """Take a connection outside of a greenlet, which costs 30 µs; None if that needs to wait."""
        last = self._returned
        if last is None or last.dbapi_connection is None or not _was_in_use(last):
            return None
        if _HOLDER in last.record_info:  # type: ignore[operator]  # a record always has it
            return None
        try:
            return self.connect()
        except MissingGreenlet:  # it is not this task's turn, or the connection was closed and has to be replaced
            return None

    def connect(self) -> PoolProxiedConnection:
        """Take a connection, which is returned when it is closed."""
        task, run = asyncio.current_task(), _run.get()
        if len(self._holders) >= self.size() and all(holder.task is task for holder in self._holders):
            raise RuntimeError(f"This asyncio task already holds all {self._all()}; {_ADVICE}.")
        takes_turn = run is not None and all(holder.run is not run for holder in self._holders)
        if takes_turn:
            await_only(self._turns.acquire())
        holder = _Holder(task, run, takes_turn)
        try:
            connection = self._connect(holder)
        except BaseException:
            self._release(holder)
            raise
        self._holders.add(holder)
        connection.record_info[_HOLDER] = holder  # type: ignore[index]  # None for a detached connection alone
        return connection

    def _connect(self, holder: _Holder) -> PoolProxiedConnection:
        while True:
            try:
                return super().connect()
            except PoolTimeoutError as error:
                if holder.took_turn:
                    continue
                held = any(holder.task is other.task for other in self._holders)
                advice = f"; the asyncio task holds a connection already: {_ADVICE}" if held else ""
                raise PoolExhausted(f"All {self._all()} were in use for {self.timeout():g} s{advice}.") from error

    def _all(self) -> str:
        return f"connections of the pool (DATABASE_POOL_SIZE={self.size()})"

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        self._returned = record
        holder = record.record_info.pop(_HOLDER, None)  # type: ignore[union-attr]  # a record always has it
        if holder is not None:
            self._release(holder)

    def _release(self, holder: _Holder) -> None:
        self._holders.discard(holder)
        if holder.took_turn:
            self._turns.release()


_ADVICE = "pass session=session to work in the transaction of its session"

_MOMENT_S = 1.0


def check_connections(engine: Engine, timeout_s: float) -> None:
    """Check every connection that the engine's pool hands out, and replace dead ones.

    Args:
        engine: The engine.
        timeout_s: Seconds after which a server that no packet reaches any more counts as gone.
    """
    dialect = engine.dialect

    @event.listens_for(engine, "connect")
    def limit_silence(connection: Any, _record: Any) -> None:
        descriptor = os.dup(_socket(connection.driver_connection).fileno())
        with socket.socket(fileno=descriptor) as opened:
            _limit_silence(opened, timeout_s)

    @event.listens_for(engine, "connect")
    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.time()  # the monotonic clock stands still in a frozen process

    @event.listens_for(engine, "checkout")
    def look(connection: Any, record: Any, _proxy: object) -> None:
        if _was_in_use(record) and _is_quiet(connection.driver_connection):
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


def _was_in_use(record: ConnectionPoolEntry) -> bool:
    used_at: float = record.info["used_at"]
    return abs(time.time() - used_at) < _MOMENT_S


def _limit_silence(opened: socket.socket, timeout_s: float) -> None:
    """Close a connection over which no packet arrives any more, as after the failover of a server to another host.

    By default, Linux repeats unacknowledged packets for a quarter of an hour, and never asks a silent server.

    Source: tcp(7), TCP_USER_TIMEOUT.
    """
    if opened.family == socket.AF_UNIX or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
        opened.setsockopt(socket.IPPROTO_TCP, option, max(1, round(timeout_s)))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout_s * 1000))


def _is_quiet(connection: Any) -> bool:
    """Whether no close was detected, and there is nothing to read: no farewell, no end, no error."""
    if connection.is_closed() if hasattr(connection, "is_closed") else connection.closed:
        return False
    poll = select.poll()
    poll.register(_socket(connection), select.POLLIN)
    return not poll.poll(0)


def _socket(connection: Any) -> Any:
    """What has the file descriptor of a driver's connection; asyncpg shows its socket in no other way."""
    transport = getattr(connection, "_transport", None)
    return connection if transport is None else transport.get_extra_info("socket")
