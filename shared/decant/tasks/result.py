"""AsyncResult: the handle to a task, by which it is waited for, watched and revoked."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any
from uuid import UUID

from decant.errors import TaskFailed, TaskNotFound, TaskRevoked
from decant.tasks.records import FINISHED, State, Status
from decant.tasks.store import store

__all__ = ["AsyncResult", "poll", "value_of"]

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0


class AsyncResult:
    """A task, wherever it runs.

    Celery's attributes are awaited, since each asks the database: `await job.state`. `await job.status()` brings all
    of them in one query. In a sync view, `decant.asgi.await_(job.get())` waits without blocking the loop.

    Args:
        id: The task's id.
    """

    def __init__(self, id: str | UUID) -> None:  # noqa: A002  # Celery's name
        self.id = str(id)

    def __repr__(self) -> str:
        return f"AsyncResult({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    async def status(self) -> Status:
        """All that is known of the task, in one query.

        Raises:
            TaskNotFound: no task has this id.
            DatabaseUnavailable: PostgreSQL is away; retrying helps once it is back.
        """
        task_id = self._uuid()
        found = await store().statuses([task_id])
        if task_id not in found:
            raise TaskNotFound(self.id)
        return found[task_id]

    async def get(self, timeout: float | None = None, *, propagate: bool = True) -> Any:  # noqa: ASYNC109  # Celery's
        """Wait for the task to end.

        Args:
            timeout: Longest wait, seconds; without one it waits as long as it takes.
            propagate: Whether to raise when the task did not succeed; otherwise the result is then None.
        Returns:
            What the task returned, as JSON gives it.
        Raises:
            TaskFailed: it ended in FAILURE.
            TaskRevoked: it was revoked.
            TimeoutError: it did not end in time; it goes on all the same.
            TaskNotFound: no task has this id.
        """
        async with asyncio.timeout(timeout):
            status = await poll(self.status, lambda status: status.state in FINISHED)
        return value_of(status, propagate=propagate)

    @property
    def state(self) -> Coroutine[Any, Any, State]:
        """Where the task stands."""
        return self._read("state")

    @property
    def result(self) -> Coroutine[Any, Any, Any]:
        """What it returned; None before its end, and when it did not succeed."""
        return self._read("result")

    @property
    def retries(self) -> Coroutine[Any, Any, int]:
        """How many of its runs were repeated."""
        return self._read("retries")

    @property
    def progress(self) -> Coroutine[Any, Any, Any]:
        """What it last said of how far it is."""
        return self._read("progress")

    @property
    def date_done(self) -> Coroutine[Any, Any, datetime | None]:
        """When it ended."""
        return self._read("date_done")

    @property
    def traceback(self) -> Coroutine[Any, Any, str | None]:
        """Where the error came from, that of the last run."""
        return self._traceback()

    async def ready(self) -> bool:
        """Whether it has ended."""
        return await self.state in FINISHED

    async def successful(self) -> bool:
        """Whether it has ended well."""
        return await self.state is State.SUCCESS

    async def failed(self) -> bool:
        """Whether it has failed for good."""
        return await self.state is State.FAILURE

    async def revoke(self, *, terminate: bool = False) -> None:
        """Let it not be started any more; nothing happens to one that has ended.

        Args:
            terminate: Whether to cancel the run that is going on, at its next heartbeat; without it that run goes on
                to its end, and is not repeated.
        Raises:
            TaskNotFound: no task has this id.
        """
        await self.status()
        await store().revoke(self._uuid(), terminate=terminate)

    async def _read(self, name: str) -> Any:
        return getattr(await self.status(), name)

    async def _traceback(self) -> str | None:
        failure = (await self.status()).failure
        return None if failure is None else failure.traceback

    def _uuid(self) -> UUID:
        try:
            return UUID(self.id)
        except ValueError as error:
            raise TaskNotFound(self.id) from error


async def poll[T](look: Callable[[], Awaitable[T]], ended: Callable[[T], bool]) -> T:
    """Look again and again, less and less often, until what is seen has ended."""
    pause_s = _FIRST_PAUSE_S
    while not ended(seen := await look()):
        await asyncio.sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)
    return seen


def value_of(status: Status, *, propagate: bool) -> Any:
    """What a task that has ended returned.

    Raises:
        TaskFailed: it failed, and `propagate` is set.
        TaskRevoked: it was revoked, and `propagate` is set.
    """
    if propagate and status.state is State.REVOKED:
        raise TaskRevoked(str(status.id))
    if propagate and status.failure is not None:
        raise TaskFailed(str(status.id), status.failure.type, status.failure.message, status.failure.traceback)
    return status.result
