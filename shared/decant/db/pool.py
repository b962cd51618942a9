"""The connection pool: it reports when it is exhausted, and lets the runs of tasks wait for their turn."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, PoolProxiedConnection
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from decant.errors import PoolExhausted

__all__ = ["ConnectionPool", "wait_for_turn"]

_HOLDER = "decant.holder"  # key of a connection record's `record_info`
_run: ContextVar[object | None] = ContextVar("decant_pool_run", default=None)


class wait_for_turn:  # noqa: N801  # a context manager; as a generator it costs a run 2 µs more
    """Wait inside the block for a free connection without limit, in the order of the requests.

    The wait has a limit, `DATABASE_CONNECT_TIMEOUT_S`, while the code of the block holds a connection already: such
    blocks could otherwise wait for each other for ever. They share all connections of the pool but one, which remains
    for other statements of the process.
    """

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _run.set(object())

    def __exit__(self, *_error: object) -> None:
        _run.reset(self._token)


@dataclass(frozen=True, slots=True, eq=False)
class _Holder:
    """Use of a connection.

    Attributes:
        task: The asyncio task that took the connection.
        run: The block of `wait_for_turn` that it is part of.
        took_turn: It counts among the connections of such blocks.
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
        holder = record.record_info.pop(_HOLDER, None)  # type: ignore[union-attr]  # a record always has it
        if holder is not None:
            self._release(holder)

    def _release(self, holder: _Holder) -> None:
        self._holders.discard(holder)
        if holder.took_turn:
            self._turns.release()


_ADVICE = "pass session=session to work in the transaction of its session"
