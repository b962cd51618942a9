"""Handles to tasks and workflows: wait for a result, read the state, revoke."""

import asyncio
import sys
from asyncio import _get_running_loop
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from datetime import datetime
from functools import cached_property
from typing import Any, Self, cast
from uuid import UUID

from decant._sync.greenlets import await_
from decant.errors import TaskFailed, TaskNotFound, TaskRevoked
from decant.tasks.context import running, tracked
from decant.tasks.records import FINISHED, State
from decant.tasks.status import Status
from decant.tasks.store import store

__all__ = ["AsyncResult", "GroupResult", "WorkflowResult", "enqueued", "poll"]

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0


class AsyncResult:
    """A task, in any process.

    Celery's attributes are awaited, since reading them queries the database: `await job.state`. `await job.status()`
    reads all of them in a single query. In synchronous code `decant.asgi.await_(job.get())` waits for the result.

    Awaiting the handle returns the handle, so that `await task.delay()` and, in synchronous code, `task.delay()` have
    the same type.

    Args:
        id: The task's id.
    """

    def __init__(self, id: str | UUID) -> None:  # noqa: A002  # Celery's name
        self._given = id

    @cached_property
    def id(self) -> str:
        """The task's id. The text of a UUID takes longer than the rest of a handle, and many handles are not read."""
        return str(self._given)

    def __repr__(self) -> str:
        return f"AsyncResult({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __await__(self) -> Generator[Any, None, Self]:
        return _returned(self).__await__()

    async def status(self) -> Status:
        """State, result and history of the task, in a single query.

        Raises:
            TaskNotFound: no task has this id.
            DatabaseUnavailable: retrying helps once PostgreSQL is back.
        """
        task_id = self._uuid()
        found = await store().statuses([task_id])
        if task_id not in found:
            raise TaskNotFound(self.id)
        return found[task_id]

    async def get(self, timeout: float | None = None, *, propagate: bool = True) -> Any:  # noqa: ASYNC109  # Celery's
        """Wait until the task is finished.

        Args:
            timeout: Longest wait, seconds; None waits without limit.
            propagate: Raise an error when the task did not succeed; otherwise return None then.
        Returns:
            The task's result, as decoded from JSON.
        Raises:
            TaskFailed: the task ended in FAILURE.
            TaskRevoked: the task was revoked.
            TimeoutError: the task was not finished in time; it continues.
            TaskNotFound: no task has this id.
        """
        status = await poll(self.status, lambda status: status.state in FINISHED, timeout)
        return _value(status, propagate=propagate)

    @property
    def state(self) -> Coroutine[Any, Any, State]:
        """Present state of the task."""
        return self._read("state")

    @property
    def result(self) -> Coroutine[Any, Any, Any]:
        """Result of the task; None before it is finished, and when it did not succeed."""
        return self._read("result")

    @property
    def retries(self) -> Coroutine[Any, Any, int]:
        """Number of retries."""
        return self._read("retries")

    @property
    def progress(self) -> Coroutine[Any, Any, Any]:
        """Last value passed to `Run.update_progress`."""
        return self._read("progress")

    @property
    def date_done(self) -> Coroutine[Any, Any, datetime | None]:
        """Time at which the task was finished."""
        return self._read("date_done")

    @property
    def traceback(self) -> Coroutine[Any, Any, str | None]:
        """Traceback of the last run's error."""
        return self._traceback()

    async def ready(self) -> bool:
        """Whether the task is finished."""
        return await self.state in FINISHED

    async def successful(self) -> bool:
        """Whether the task ended in SUCCESS."""
        return await self.state is State.SUCCESS

    async def failed(self) -> bool:
        """Whether the task ended in FAILURE."""
        return await self.state is State.FAILURE

    async def revoke(self, *, terminate: bool = False) -> None:
        """Prevent the task from being started; a finished task is not changed.

        Args:
            terminate: Also cancel the present run, at its next heartbeat. Otherwise that run continues, and is not
                retried.
        Raises:
            TaskNotFound: no task has this id.
        """
        await self.status()
        await store().revoke([self._uuid()], terminate=terminate)

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


class WorkflowResult(AsyncResult):
    """The last task of a workflow; it is finished when the whole workflow is.

    Args:
        root_id: Id of the workflow.
        task_id: Id of the last task.
    """

    def __init__(self, root_id: UUID, task_id: UUID) -> None:
        super().__init__(task_id)
        self.root_id = str(root_id)

    async def revoke(self, *, terminate: bool = False) -> None:
        """Prevent all tasks of the workflow from being started; see `AsyncResult.revoke`."""
        await store().revoke_workflow(UUID(self.root_id), terminate=terminate)


class GroupResult:
    """The last tasks of a workflow that ends with a group; their results form a list.

    Args:
        root_id: Id of the workflow.
        ids: Ids of the tasks, in the order of the list.
    """

    def __init__(self, root_id: UUID, ids: Iterable[UUID]) -> None:
        self.id = self.root_id = str(root_id)
        self.results = [AsyncResult(task_id) for task_id in ids]

    def __await__(self) -> Generator[Any, None, Self]:
        return _returned(self).__await__()

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[AsyncResult]:
        return iter(self.results)

    async def statuses(self) -> list[Status]:
        """Status of every task, in a single query; all other methods use it.

        Raises:
            TaskNotFound: a task does not exist. Its transaction has not been committed, or it was deleted some time
                after its end; see `TASK_RESULT_EXPIRES_S`.
        """
        ids = [UUID(result.id) for result in self.results]
        found = await store().statuses(ids)
        missing = next((task_id for task_id in ids if task_id not in found), None)
        if missing is not None:
            raise TaskNotFound(str(missing))
        return [found[task_id] for task_id in ids]

    async def get(self, timeout: float | None = None, *, propagate: bool = True) -> list[Any]:  # noqa: ASYNC109  # Celery's
        """Wait until all tasks are finished.

        Args:
            timeout: Longest wait, seconds; None waits without limit.
            propagate: Raise an error when a task did not succeed; otherwise its result is None.
        Returns:
            Results, in order.
        Raises:
            TaskFailed: a task ended in FAILURE; the error is that of the first in order.
            TaskRevoked: a task was revoked or had expired.
            TaskNotFound: a task does not exist; see `statuses`.
            TimeoutError: not all tasks were finished in time; they continue.
        """
        statuses = await poll(self.statuses, _all_finished, timeout)
        return [_value(status, propagate=propagate) for status in statuses]

    async def completed_count(self) -> int:
        """Number of tasks that succeeded."""
        return sum(status.state is State.SUCCESS for status in await self.statuses())

    async def ready(self) -> bool:
        """Whether all tasks are finished."""
        return _all_finished(await self.statuses())

    async def successful(self) -> bool:
        """Whether all tasks ended in SUCCESS."""
        return all(status.state is State.SUCCESS for status in await self.statuses())

    async def failed(self) -> bool:
        """Whether a task ended in FAILURE."""
        return any(status.state is State.FAILURE for status in await self.statuses())

    async def revoke(self, *, terminate: bool = False) -> None:
        """Prevent all tasks of the workflow from being started; see `AsyncResult.revoke`."""
        await store().revoke_workflow(UUID(self.root_id), terminate=terminate)


async def poll[T](read: Callable[[], Awaitable[T]], finished: Callable[[T], bool], timeout_s: float | None) -> T:
    """Read repeatedly, with growing pauses, until the value is finished; a timeout of 0 reads once."""
    value = await read()
    pause_s = _FIRST_PAUSE_S
    async with asyncio.timeout(timeout_s):
        while not finished(value):
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)
            value = await read()
    return value


def _value(status: Status, *, propagate: bool) -> Any:
    if propagate and status.state is State.REVOKED:
        raise TaskRevoked(str(status.id), "" if status.failure is None else status.failure.message)
    if propagate and status.failure is not None:
        raise TaskFailed(str(status.id), status.failure.type, status.failure.message, status.failure.traceback)
    return status.result


def _all_finished(statuses: list[Status]) -> bool:
    return all(status.state in FINISHED for status in statuses)


def enqueued[R](work: Coroutine[Any, Any, R]) -> R:
    """Enqueue a call: at once in synchronous code; in a coroutine, return the work to be awaited.

    Args:
        work: Enqueues the call and returns its handle.
    Returns:
        The handle, or an awaitable that returns it. Both have the handle's type, because a handle can be awaited too.
    """
    if _get_running_loop() is None:  # the public function raises, which costs 1 µs
        return await_(work)
    run = running.get()
    if run is not None:
        caller = sys._getframe(2)  # noqa: SLF001  # the documented way to read the caller's line
        work = tracked(work, run, f"{caller.f_code.co_filename}:{caller.f_lineno}")
    return cast("R", work)


async def _returned[R](handle: R) -> R:
    return handle
