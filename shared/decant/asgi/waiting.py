"""How synchronous code awaits: in a greenlet that steps aside.

`OnLoop` runs synchronous code on the event loop's own thread. When that code awaits something that is not ready, its
greenlet switches back to the task that drives it, which waits in its place while the loop serves others. Both share one
contextvars context, so what Flask sets on one side is seen on the other.

The technique is that of SQLAlchemy's asyncio extension. Unlike there, the awaited coroutine itself runs inside the
greenlet: `sys.exc_info()` holds in an async error handler, an async view may call synchronous code that awaits again,
and what is ready at once never switches.
"""

import threading
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import CoroutineType, coroutine
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

__all__ = ["OnLoop", "Waiter", "as_coroutine", "await_"]


class Waiter(greenlet):
    """Synchronous code that can await."""

    @abstractmethod
    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await from synchronous code; returns its result or raises its error."""


class OnLoop(Waiter):
    """Synchronous code on the event loop's own thread, in the context of the task that drives it.

    A new greenlet costs 15 µs, most of it to map its stack: one that is done is parked, and takes the next work.

    Attributes:
        finished: The work ended, or has not begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.finished = True
        self._work: Callable[[], None] = _nothing
        self._driver: greenlet = self
        self._error: BaseException | None = None

    @classmethod
    def take(cls) -> "OnLoop":
        """One that is parked on this thread, or a new one."""
        return _parked.greenlets.pop() if _parked.greenlets else cls()

    def start(self, work: Callable[[], None]) -> Any:
        """Work until it ends or waits; returns what it waits for."""
        self._work = work
        self.finished = False
        self.parent = self._driver = here = getcurrent()
        self.gr_context = here.gr_context  # the very same object, not a copy
        return self.switch()

    @coroutine
    def resume(self, pending: Any) -> Generator[Any, Any]:
        """Wait for each thing that the work waits for, until it ends."""
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

    def park(self) -> None:
        """Take the outcome: raise the work's error if it ended in one."""
        error, self._error, self.gr_context = self._error, None, None
        if len(_parked.greenlets) < _MOST_PARKED:
            _parked.greenlets.append(self)
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    def run(self) -> None:
        """Do one work after another, stepping aside after each; what a greenlet runs."""
        while True:
            try:
                self._work()
            except GreenletExit:  # the loop was dropped with this request unfinished
                raise
            except BaseException as error:  # noqa: BLE001  # raised again where the work was asked for
                self._error = error
            self._work = _nothing
            self.finished = True
            self._driver.switch()

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await, letting the driving task wait in this greenlet's place."""
        steps = as_coroutine(awaitable)
        try:
            pending = steps.send(None)
            while True:
                try:
                    value = self._driver.switch(pending)
                except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the awaitable
                    pending = steps.throw(error)
                else:
                    pending = steps.send(value)
        except StopIteration as done:
            return done.value


def _nothing() -> None:
    """What a parked greenlet has to do."""


_MOST_PARKED = 64


class _Parked(threading.local):
    def __init__(self) -> None:
        self.greenlets: list[OnLoop] = []


_parked = _Parked()


def await_[T](awaitable: Awaitable[T]) -> T:
    """Await from synchronous code inside a bridged request, without blocking the loop.

    Raises:
        RuntimeError: called outside a bridged request, or in a task or thread that the request started.
    """
    here = getcurrent()
    if not isinstance(here, Waiter):
        if isinstance(awaitable, CoroutineType):
            awaitable.close()
        raise RuntimeError(  # noqa: TRY004  # what is wrong is where it was called, not the argument
            "await_() works in synchronous code of a request that decant.asgi bridges; "
            "in a coroutine use `await`, elsewhere serve the app with lambda_handler or asgi_app"
        )
    result: T = here.wait(awaitable)
    return result


def as_coroutine[T](awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """The awaitable itself if it is a coroutine, else one that awaits it."""
    return awaitable if isinstance(awaitable, CoroutineType) else _awaiting(awaitable)


async def _awaiting[T](awaitable: Awaitable[T]) -> T:
    return await awaitable
