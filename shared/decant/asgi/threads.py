"""Sync views under a server: in worker threads, in the request's own context, their awaits on the request's loop."""

import asyncio
from asyncio import AbstractEventLoop, Task
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from contextvars import Context
from typing import Any, cast

from greenlet import getcurrent

from decant.asgi.waiting import Waiter, as_coroutine

__all__ = ["in_thread"]


async def in_thread[T](threads: Executor, work: Callable[[], T]) -> T:
    """Run synchronous code in a worker thread; what it awaits runs on this loop.

    When cancelled, it cancels what the thread awaits, and then still waits for the thread: nobody tears a request
    down while its view runs. (asgiref's `sync_to_async` abandons the thread instead.)
    """
    call = _Call(asyncio.get_running_loop(), cast("Context", getcurrent().gr_context))
    running = call.loop.run_in_executor(threads, call.run, work)
    try:
        return cast("T", await asyncio.shield(running))
    except asyncio.CancelledError:
        call.cancel()
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        raise


class _Call:
    """One call in a worker thread, and what it awaits on the loop.

    A greenlet may hold any context, also that of a suspended task: the thread thus works in the very context of the
    request, where `contextvars.Context.run` could only give it a copy whose tokens are worth nothing elsewhere.
    """

    def __init__(self, loop: AbstractEventLoop, context: Context) -> None:
        self.loop = loop
        self.context = context
        self._awaited: Task[Any] | None = None
        self._cancelled = False

    def run(self, work: Callable[[], Any]) -> Any:
        """Do the work; in the worker thread."""
        worker = _InThread(work)
        worker.call = self
        worker.gr_context = self.context
        return worker.switch()

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await on the loop; in the worker thread."""
        outcome: Future[Any] = Future()
        self.loop.call_soon_threadsafe(self._start, awaitable, outcome)
        return outcome.result()

    def cancel(self) -> None:
        """Cancel what the thread awaits, or else what it awaits next; on the loop."""
        if self._awaited is None:
            self._cancelled = True
        else:
            self._awaited.cancel()

    def _start(self, awaitable: Awaitable[Any], outcome: Future[Any]) -> None:
        def finish(task: Task[Any]) -> None:
            self._awaited = None
            if task.cancelled():
                outcome.set_exception(asyncio.CancelledError())
            elif error := task.exception():
                outcome.set_exception(error)
            else:
                outcome.set_result(task.result())

        self._awaited = self.loop.create_task(as_coroutine(awaitable), context=self.context)
        self._awaited.add_done_callback(finish)
        if self._cancelled:
            self._cancelled = False
            self._awaited.cancel()


class _InThread(Waiter):
    """Synchronous code in a worker thread."""

    call: _Call

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await on the request's loop, blocking this thread alone."""
        return self.call.wait(awaitable)
