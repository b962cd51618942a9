"""A coroutine in which an error can be raised while it waits, for soft time limits."""

import asyncio
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any

__all__ = ["Interruptible"]


class Interruptible[T](Coroutine[Any, Any, T]):
    """Wraps a coroutine, and replaces the cancellation that `interrupt` requests by the error.

    asyncio can only cancel a task. The cancellation wakes the innermost awaitable, and the wrapped coroutine then
    receives the error in its place.
    """

    def __init__(self, wrapped: Coroutine[Any, Any, T]) -> None:
        self._wrapped = wrapped
        self._error: Exception | None = None

    def interrupt(self, task: asyncio.Task[T], error: Exception) -> None:
        """Raise the error where the coroutine waits now; `task` is the asyncio task that runs it."""
        self._error = error
        task.cancel()

    def send(self, value: Any) -> Any:
        """Resume the coroutine."""
        return self._wrapped.send(value)

    def throw(self, kind: Any, value: Any = None, traceback: TracebackType | None = None, /) -> Any:
        """Resume the coroutine with an error: the given one, or in place of a cancellation that of `interrupt`."""
        thrown: BaseException = kind if value is None else value
        error, self._error = self._error, None
        current = asyncio.current_task()
        if error is None or current is None or not isinstance(thrown, asyncio.CancelledError):
            return self._wrapped.throw(thrown.with_traceback(traceback or thrown.__traceback__))
        current.uncancel()
        return self._wrapped.throw(error)

    def close(self) -> None:
        """Close the coroutine."""
        self._wrapped.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._wrapped.__await__()
