"""The process's one event loop, and what must be closed before the process ends or is frozen into a snapshot.

Every request, every task and every shared client of a process lives on this loop, so that connections made in one
invocation serve the next. It is made when this module is imported and set as the thread's current loop; nothing here
or elsewhere calls `asyncio.run`, which would unset it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["close", "current", "on_close", "run"]

_loop = asyncio.new_event_loop()
asyncio.set_event_loop(_loop)
_closers: list[Callable[[], Awaitable[None]]] = []


def current() -> asyncio.AbstractEventLoop:
    """The process's loop, set as the thread's current one again if somebody unset it."""
    asyncio.set_event_loop(_loop)
    return _loop


def run[T](work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on the process's loop, from code outside it."""
    return current().run_until_complete(work)


def on_close(closer: Callable[[], Awaitable[None]]) -> None:
    """Register what closes a shared client; `close` calls the newest first, each once."""
    _closers.append(closer)


async def close() -> None:
    """Close every shared client; each is built anew at its next use."""
    while _closers:
        await _closers.pop()()
