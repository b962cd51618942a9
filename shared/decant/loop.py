"""The event loop of the current runtime, and the tasks that an invocation leaves behind on it.

Requests, tasks and shared clients of a process use the same loop, so that connections made in an invocation serve the
next invocation. Decant never calls `asyncio.run`, which would unset the loop. Under an ASGI server or in an async test
the loop that runs already is used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from decant import runtime
from decant.event_loop import LeftoverTasks

__all__ = ["LeftoverTasks", "close", "current", "on_close", "run"]


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
