"""The event loop of the current runtime, and the tasks that an invocation leaves behind on it.

Requests, tasks and shared clients of a process use the same loop, so that connections made in an invocation serve the
next invocation. Decant never calls `asyncio.run`, which would unset the loop. Under an ASGI server or in an async test
the loop that runs already is used.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from decant import runtime
from decant.event_loop import EventLoop, count_and_start_task

__all__ = ["LeftoverTasks", "close", "current", "on_close", "run"]

log = logging.getLogger(__name__)


def current() -> asyncio.AbstractEventLoop:
    """The running loop, or else the runtime's own, which is then set as the thread's current loop."""
    return runtime.current().loop


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on the runtime's loop, from synchronous code.

    Raises:
        RuntimeError: an event loop runs in this thread; use `await` there.
    """
    return runtime.current().run(work)


def on_close(closer: Callable[[], Awaitable[object]]) -> None:
    """Register work for the end of the running loop, such as closing a client; the newest is called first."""
    runtime.current().on_close(closer)


async def close() -> None:
    """Close every shared client; they are built again at their next use.

    Raises:
        ExceptionGroup: some could not be closed; all others are.
    """
    await runtime.current().aclose()


class LeftoverTasks:
    """Finishes the tasks that an invocation leaves behind, with a warning: a frozen process runs nothing.

    Args:
        within_s: Longest wait for them, seconds. Tasks that run longer are cancelled, and waited for as long again.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._resident: set[asyncio.Task[Any]] | None = None
        self._started_before: int | None = None

    def begin(self) -> None:
        """Note the start of an invocation; tasks that run since before the first invocation may stay."""
        if self._resident is None:
            self._resident = _other_tasks()
        self._started_before = _started_tasks()

    async def finish(self) -> None:
        """Wait for the tasks that the invocation left behind, or cancel them."""
        started = _started_tasks()
        if started is not None and started == self._started_before:
            return  # nearly always: looking through all tasks costs a request 5 µs
        left = _other_tasks() - (self._resident or set())
        if not left:
            return
        _, late = await asyncio.wait(left, timeout=self._within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=self._within_s)
        log.warning(
            "The request left tasks behind; await them, or use a task of decant.tasks",
            extra={"awaited": sorted(map(_name, left - late)), "cancelled": sorted(map(_name, late))},
        )


def _started_tasks() -> int | None:
    """How many tasks were started on the running loop; None on a loop that does not count them."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, EventLoop) and loop.get_task_factory() is count_and_start_task:
        return loop.started_tasks
    return None


def _other_tasks() -> set[asyncio.Task[Any]]:
    """The tasks on the running loop, except the current task."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
