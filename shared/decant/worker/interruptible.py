"""A coroutine into which an error can be raised while it waits: how a soft time limit reaches a task."""

import asyncio
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any

__all__ = ["Interruptible"]


class Interruptible[T](Coroutine[Any, Any, T]):
    """Hands everything on to the coroutine within, but turns a cancellation that `interrupt` asked for into its error.

    asyncio can only ever cancel a task; what waits below, however deep, is woken by that cancellation and then sees
    the error in its place.
    """

    def __init__(self, within: Coroutine[Any, Any, T]) -> None:
        self._within = within
        self._error: Exception | None = None

    def interrupt(self, task: asyncio.Task[T], error: Exception) -> None:
        """Raise the error inside the coroutine, where it waits now; `task` is the one that runs it."""
        self._error = error
        task.cancel()

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._within.send(value)

    def throw(self, kind: Any, value: Any = None, traceback: TracebackType | None = None, /) -> Any:
        """Go on with an error: asyncio's, or in place of its cancellation the one that `interrupt` gave."""
        thrown: BaseException = kind if value is None else value
        error, self._error = self._error, None
        current = asyncio.current_task()
        if error is None or current is None or not isinstance(thrown, asyncio.CancelledError):
            return self._within.throw(thrown.with_traceback(traceback or thrown.__traceback__))
        current.uncancel()
        return self._within.throw(error)

    def close(self) -> None:
        """Give up."""
        self._within.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._within.__await__()
