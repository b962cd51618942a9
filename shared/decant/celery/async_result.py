"""Handle to a task: `AsyncResult`. Its methods block.

In a coroutine they block the event loop, and waiting for a result is refused there.
"""

import asyncio
import builtins
from asyncio import _get_running_loop
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from decant.celery import states
from decant.celery.blocking import wait
from decant.celery.exceptions import IncompleteStream, TimeoutError, Unsupported  # noqa: A004
from decant.celery.outcome import Seen, seen
from decant.celery.planning import row_id
from decant.tasks.result import poll
from decant.tasks.store import store

if TYPE_CHECKING:
    from decant.celery.app import Celery

__all__ = ["AsyncResult", "ResultBase"]

_REFUSED = (
    "Waiting for a result in a coroutine blocks the event loop, and with it the worker that may run the task. "
    "Use `await decant.tasks.AsyncResult(result.id).get()`, or wait in synchronous code."
)


class ResultBase:
    """Base of all results. Awaiting a result returns it, so that `await task.delay()` works too."""

    parent: Any = None

    def __await__(self) -> Generator[Any, None, Self]:
        return _returned(self).__await__()

    def then(self, callback: Any, on_error: Any = None, weak: bool = False) -> Any:
        """Not supported."""
        raise Unsupported("result.then() does not exist here. Link a task: `sig.link(callback.s())`.")


async def _returned[R](result: R) -> R:
    return result


class AsyncResult(ResultBase):
    """A task, in any process.

    Args:
        id: The task's id.
        backend: Accepted without effect.
        task_name: Name of the task.
        app: The app.
        parent: Result of the previous part of a workflow.
    """

    TimeoutError = TimeoutError

    def __init__(
        self,
        id: str,
        backend: Any = None,
        task_name: str | None = None,
        app: "Celery | None" = None,
        parent: Any = None,
    ) -> None:
        del backend
        if id is None:
            raise ValueError(f"AsyncResult requires valid id, not {type(id)}")
        self.id = str(id)
        self.app = app
        self.parent = parent
        self._name = task_name
        self._last: Seen | None = None

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.id

    def _see(self) -> Seen:
        """State and result; a finished task is not read again."""
        if self._last is None or self._last.state not in states.READY_STATES:
            self._last = wait(seen(row_id(self.id)))
        return self._last

    @property
    def state(self) -> str:
        """State of the task; PENDING for a task that does not exist."""
        return self._see().state

    status = state

    @property
    def result(self) -> Any:
        """What the task returned, its error, or the details of its state."""
        return self._see().value

    info = result

    @property
    def traceback(self) -> str | None:
        """Traceback of the task's error."""
        return self._see().traceback

    @property
    def children(self) -> list[Any] | None:
        """Results of the tasks that the task has called; None before its end."""
        from decant.celery.result_sets import result_from_tuple

        found = self._see()
        return None if found.children is None else [result_from_tuple(child, self.app) for child in found.children]

    @property
    def date_done(self) -> datetime | None:
        """Time at which the task ended."""
        return self._see().date_done

    @property
    def name(self) -> str | None:
        """Name of the task."""
        return self._name or self._see().name

    @property
    def retries(self) -> int | None:
        """Number of retries."""
        return self._see().retries

    @property
    def queue(self) -> str | None:
        """Queue of the task."""
        return self._see().queue

    args = kwargs = worker = None

    def ready(self) -> bool:
        """Whether the task has ended."""
        return self.state in states.READY_STATES

    def successful(self) -> bool:
        """Whether the task has succeeded."""
        return self.state == states.SUCCESS

    def failed(self) -> bool:
        """Whether the task has failed."""
        return self.state == states.FAILURE

    def exists(self) -> bool:
        """Whether there is such a task."""
        return self._see().name is not None

    def get(self, timeout: float | None = None, propagate: bool = True, interval: float = 0.5, **options: Any) -> Any:
        """Wait until the task has ended.

        Args:
            timeout: Longest wait, seconds; None waits without limit.
            propagate: Raise the task's error; otherwise return it.
            interval: No effect.
            options: `callback` is called with the id and the result; others have no effect.
        Raises:
            TimeoutError: the task has not ended in time; it continues.
            Exception: the task's error, of its own class where that can be imported.
        """
        del interval
        if _get_running_loop() is not None:
            raise RuntimeError(_REFUSED)
        if self._last is None or self._last.state not in states.READY_STATES:
            self._last = wait(_wait_for([self.id], timeout))[0]
        if options.get("callback"):
            options["callback"](self.id, self._last.value)
        if propagate:
            self._throw_of_parents()
            self.maybe_throw()
        return self._last.value

    wait = get

    def _throw_of_parents(self) -> None:
        """Raise the error of the first part of the workflow that has failed."""
        if self._see().state in states.PROPAGATE_STATES and self.parent is not None:
            above = self.parent
            if isinstance(above, AsyncResult):
                above._throw_of_parents()  # noqa: SLF001  # of the same class
            above.maybe_throw()

    def maybe_throw(self, propagate: bool = True, callback: Any = None) -> Any:
        """Raise the task's error if it has one; otherwise return the result."""
        found = self._see()
        if propagate and found.state in states.PROPAGATE_STATES:
            raise found.error()
        if callback is not None:
            callback(self.id, found.value)
        return found.value

    maybe_reraise = maybe_throw

    def forget(self) -> None:
        """Delete the task's row, if it has ended and no other task waits for its result."""
        wait(store().forget(row_id(self.id)))
        self._last = None
        if self.parent is not None:
            self.parent.forget()

    def revoke(self, connection: Any = None, terminate: bool = False, signal: Any = None, **options: Any) -> None:
        """Prevent the task from being started.

        Args:
            connection: Accepted without effect.
            terminate: Also cancel a run, at its next heartbeat.
            signal: Accepted without effect.
            options: No effect.
        """
        del connection, signal, options
        wait(store().revoke([row_id(self.id)], terminate=terminate))
        self._last = None

    def as_tuple(self) -> Any:
        """The ids of this result and of its parents, as JSON."""
        return (self.id, self.parent and self.parent.as_tuple()), None

    def as_list(self) -> list[str]:
        """The ids of this result and of its parents."""
        return [self.id, *(self.parent.as_list() if self.parent is not None else ())]

    def collect(self, intermediate: bool = False, **kwargs: Any) -> Iterator[tuple[Any, Any]]:
        """This result and the results of all tasks that were called by it, with their values."""
        for _, result in self.iterdeps(intermediate):
            yield result, result.get(**kwargs)

    def get_leaf(self) -> Any:
        """Value of the last of all tasks that were called by it."""
        value = None
        for _, result in self.iterdeps():
            value = result.get()
        return value

    def iterdeps(self, intermediate: bool = False) -> Iterator[tuple[Any, Any]]:
        """This result and the results of all tasks that were called by it, each with the result that called it.

        Raises:
            IncompleteStream: a task has not ended.
        """
        stack: list[tuple[Any, Any]] = [(None, self)]
        while stack:
            parent, node = stack.pop(0)
            yield parent, node
            if node.ready():
                stack += [(node, child) for child in node.children or ()]
            elif not intermediate:
                raise IncompleteStream

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<AsyncResult: {self.id}>"

    def __eq__(self, other: object) -> bool:
        return other == self.id if isinstance(other, str) else isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __copy__(self) -> "AsyncResult":
        return AsyncResult(self.id, task_name=self._name, app=self.app, parent=self.parent)

    def __reduce__(self) -> Any:
        return AsyncResult, (self.id, None, self._name, None, self.parent)


async def _wait_for(ids: Sequence[str], timeout_s: float | None) -> list[Seen]:
    """Wait until tasks have ended; a failure ends the wait for all.

    Raises:
        TimeoutError: they have not ended in time.
    """

    async def read() -> list[Seen]:
        return list(await asyncio.gather(*(seen(row_id(task_id)) for task_id in ids)))

    try:
        return await poll(read, lambda all_: all(each.state in states.READY_STATES for each in all_), timeout_s)
    except builtins.TimeoutError:
        raise TimeoutError("The operation timed out.") from None
