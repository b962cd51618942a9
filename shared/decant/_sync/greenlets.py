"""Await from synchronous code: it runs in a greenlet that switches back to the event loop while it waits.

`LoopGreenlet` runs synchronous code on the event loop's own thread. When that code awaits something that is not ready,
its greenlet switches back to the task that drives it, and the task waits while the loop serves others. Greenlet and
task share one contextvars context, so variables that Flask sets in the greenlet are seen in the task, and the reverse.

The technique is that of SQLAlchemy's asyncio extension. Unlike there, the awaited coroutine itself runs inside the
greenlet: `sys.exc_info()` holds in an async error handler, an async view may call synchronous code that awaits again,
and an awaitable that is ready at once causes no switch.

While synchronous code has the thread, no event loop is set as running there. Existing code may thus call
`asyncio.run()` or asgiref's `async_to_sync()`, as it may under a WSGI server.
"""

import asyncio
import threading
from abc import abstractmethod
from asyncio import _get_running_loop, _set_running_loop
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import CoroutineType, coroutine
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from decant import runtime

__all__ = ["AwaitingGreenlet", "LoopGreenlet", "as_coroutine", "await_", "run_in_greenlet"]


class AwaitingGreenlet(greenlet):
    """Synchronous code that can await."""

    @abstractmethod
    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await from synchronous code; returns its result or raises its error."""

    def post(self, awaitable: Awaitable[Any]) -> None:
        """Await without depending on the result: a worker thread goes on at once, and its caller raises the error."""
        self.wait(awaitable)

    def give_turn(self) -> None:
        """Let other tasks of the event loop run; a worker thread does not keep them from it."""


class LoopGreenlet(AwaitingGreenlet):
    """Synchronous code on the event loop's own thread, in the context of the task that drives it.

    A new greenlet costs 15 µs, most of it to map its stack. A finished greenlet is therefore pooled and reused.

    Attributes:
        finished: The work ended, or has not begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.finished = True
        self._work: Callable[[], None] = _nothing
        self._driver: greenlet = self
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._gave_turn = False

    @classmethod
    def acquire(cls) -> "LoopGreenlet":
        """Take a greenlet from this thread's pool, or make a new one."""
        return _pool.greenlets.pop() if _pool.greenlets else cls()

    def start(self, work: Callable[[], None], context: Context | None = None) -> Any:
        """Work until it ends or waits; returns the future that it waits for.

        Args:
            work: The call.
            context: Its context variables; None for the caller's own.
        """
        self._work = work
        self.finished = self._gave_turn = False
        self.parent = self._driver = here = getcurrent()
        self.gr_context = here.gr_context if context is None else context  # the very same object, not a copy
        self._loop = _get_running_loop()
        _set_running_loop(None)
        return self.switch()

    @coroutine
    def resume(self, pending: Any) -> Generator[Any, Any]:
        """Wait for everything that the work waits for, until it ends."""
        while not self.finished:
            try:
                value = yield pending
            except BaseException as error:  # noqa: BLE001  # a cancellation too must reach the code that waits
                self.parent = self._driver = getcurrent()
                pending = self.throw(type(error), error, error.__traceback__)
            else:
                here = getcurrent()
                if here is not self._driver:
                    self.parent = self._driver = here
                pending = self.switch(value)

    async def finish(self, pending: Any) -> None:
        """Wait for the end of the work, and release the greenlet."""
        await self.resume(pending)
        self.release()

    def release(self) -> None:
        """Return the greenlet to the pool, and raise the work's error if there is one."""
        error, self._error, self._loop, self.gr_context = self._error, None, None, None
        if len(_pool.greenlets) < _POOL_SIZE:
            _pool.greenlets.append(self)
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    def run(self) -> None:
        """Run works in sequence and switch back after every work; the body of the greenlet."""
        while True:
            try:
                self._work()
            except GreenletExit:  # the loop was dropped with this request unfinished
                raise
            except BaseException as error:  # noqa: BLE001  # raised again by `release`
                self._error = error
            finally:
                _set_running_loop(self._loop)
            self._work = _nothing
            self.finished = True
            self._driver.switch()

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await, while the driving task waits in this greenlet's place.

        Raises:
            RuntimeError: another event loop runs in the synchronous code; its coroutines use `await`.
        """
        outer = _get_running_loop()
        if outer is not None and outer is not self._loop:
            raise _refused(awaitable)
        steps = as_coroutine(awaitable)
        _set_running_loop(self._loop)
        try:
            pending = steps.send(None)
            while True:
                self._gave_turn = True
                try:
                    value = self._driver.switch(pending)
                except BaseException as error:  # noqa: BLE001  # every error belongs to the awaitable
                    if isinstance(error, GreenletExit):  # from the garbage collector, in any place of any loop
                        self._loop = _get_running_loop()
                    pending = steps.throw(error)
                else:
                    pending = steps.send(value)
        except StopIteration as done:
            return done.value
        finally:
            _set_running_loop(outer)

    def give_turn(self) -> None:
        """Let other tasks run, unless they have run since the last call."""
        if not self._gave_turn:
            self.wait(asyncio.sleep(0))
        self._gave_turn = False


def _nothing() -> None:
    """The work of a pooled greenlet."""


_POOL_SIZE = 64


class _Pool(threading.local):
    def __init__(self) -> None:
        self.greenlets: list[LoopGreenlet] = []


_pool = _Pool()


async def run_in_greenlet[T](work: Callable[[], T], context: Context | None = None) -> T:
    """Run synchronous code that may `await_()` on this loop, in the given context or this task's own."""
    results: list[T] = []
    here = LoopGreenlet.acquire()
    pending = here.start(lambda: results.append(work()), context)
    if here.finished:
        here.release()
    else:
        await here.finish(pending)
    return results[0]


def await_[T](awaitable: Awaitable[T]) -> T:
    """Await from synchronous code.

    In a request or task that Decant runs, the awaitable runs in that request's or task's own asyncio task, and the
    event loop goes on meanwhile. In other synchronous code it runs on the process's event loop.

    Raises:
        RuntimeError: an event loop runs in this thread, so that waiting would block it; use `await`.
    """
    here = getcurrent()
    result: T = here.wait(awaitable) if isinstance(here, AwaitingGreenlet) else _run_outside(awaitable)
    return result


def as_coroutine[T](awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """The awaitable itself if it is a coroutine, else a coroutine that awaits it."""
    return awaitable if isinstance(awaitable, CoroutineType) else _awaiting(awaitable)


async def _awaiting[T](awaitable: Awaitable[T]) -> T:
    return await awaitable


def _run_outside[T](awaitable: Awaitable[T]) -> T:
    if _get_running_loop() is not None:
        raise _refused(awaitable)
    return runtime.current().run(as_coroutine(awaitable))


def _refused(awaitable: Awaitable[Any]) -> RuntimeError:
    if isinstance(awaitable, CoroutineType):
        awaitable.close()
    return RuntimeError("await_() would block the event loop that runs in this thread; use `await` in a coroutine")
