"""How synchronous code awaits: in a greenlet that steps aside.

`OnLoop` is synchronous code on the event loop's thread. When it awaits something that is not ready, it switches to the
task that drives it, which waits in its place; the loop meanwhile serves others. Both share one contextvars context, so
what Flask sets on one side is seen on the other.

The technique is that of SQLAlchemy's asyncio extension. Unlike there, the awaited coroutine itself runs inside the
greenlet: `sys.exc_info()` works in an async error handler, and what never has to wait never switches.
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from inspect import iscoroutine
from types import coroutine
from typing import Any, cast

from greenlet import getcurrent, greenlet

__all__ = ["OnLoop", "Waiter", "as_coroutine", "await_", "resume"]


class Waiter(greenlet):
    """Synchronous code that can await."""

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await from synchronous code; returns its result or raises its error."""
        raise NotImplementedError


class OnLoop(Waiter):
    """Synchronous code on the event loop's own thread, in the context of the task that drives it.

    Args:
        work: What to run.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(work)
        self.gr_context = getcurrent().gr_context  # the very same object, not a copy

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Await, letting the driving task wait in this greenlet's place."""
        steps = as_coroutine(awaitable)
        try:
            pending = steps.send(None)
            while True:
                try:
                    value = cast("greenlet", self.parent).switch(pending)
                except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the awaitable
                    pending = steps.throw(error)
                else:
                    pending = steps.send(value)
        except StopIteration as done:
            return done.value


@coroutine
def resume(work: OnLoop, pending: Any) -> Generator[Any, Any, Any]:
    """Go on with a greenlet that stepped aside: wait for each thing it waits for, until it ends."""
    while not work.dead:
        try:
            value = yield pending
        except BaseException as error:  # noqa: BLE001  # a cancellation too must reach the code that waits
            work.parent = getcurrent()
            pending = work.throw(type(error), error, error.__traceback__)
        else:
            work.parent = getcurrent()
            pending = work.switch(value)
    return pending


def await_[T](awaitable: Awaitable[T]) -> T:
    """Await from synchronous code inside a bridged request, without blocking the loop.

    Raises:
        RuntimeError: called outside a bridged request, or from a task or thread that the request started.
    """
    here = getcurrent()
    if not isinstance(here, Waiter):
        if iscoroutine(awaitable):
            awaitable.close()
        raise RuntimeError(  # noqa: TRY004  # what is wrong is where it was called, not the argument
            "await_() works in synchronous code that a request bridged by decant.asgi runs; "
            "in a coroutine use `await`, elsewhere run the app under FlaskToAsgi or lambda_handler"
        )
    return cast("T", here.wait(awaitable))


def as_coroutine[T](awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """The awaitable itself if it is a coroutine, else one that awaits it."""
    return awaitable if iscoroutine(awaitable) else _awaiting(awaitable)


async def _awaiting[T](awaitable: Awaitable[T]) -> T:
    return await awaitable
