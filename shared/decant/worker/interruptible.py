"""A coroutine in which a soft time limit can be raised while it waits."""

import asyncio
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any

from decant.errors import SoftTimeLimitExceeded

__all__ = ["Interruptible"]


class _Interruption(SoftTimeLimitExceeded, asyncio.CancelledError):
    """The soft time limit as the task's code sees it.

    It is also a cancellation, so that task groups cancel their children and wait for them before they pass it on.
    """


class Interruptible[T](Coroutine[Any, Any, T]):
    """Wraps a coroutine, and replaces the cancellation that `interrupt` requests by the soft time limit.

    asyncio can only cancel a task. The cancellation wakes the innermost awaitable, and the wrapped coroutine then
    receives the error in its place.
    """

    def __init__(self, wrapped: Coroutine[Any, Any, T]) -> None:
        self._wrapped = wrapped
        self._error: _Interruption | None = None

    def interrupt(self, task: asyncio.Task[T], message: str) -> None:
        """Raise `SoftTimeLimitExceeded` where the coroutine waits now; `task` is the asyncio task that runs it."""
        self._error = _Interruption(message)
        task.cancel()

    def send(self, value: Any) -> Any:
        """Resume the coroutine."""
        try:
            return self._wrapped.send(value)
        except _Interruption as error:
            raise _limit(error) from error.__cause__

    def throw(self, kind: Any, value: Any = None, traceback: TracebackType | None = None, /) -> Any:
        """Resume the coroutine with an error: the given one, or in place of a cancellation the soft time limit."""
        thrown: BaseException = kind if value is None else value
        error, self._error = self._error, None
        current = asyncio.current_task()
        if error is None or current is None or not isinstance(thrown, asyncio.CancelledError):
            error, thrown = None, thrown.with_traceback(traceback or thrown.__traceback__)
        else:
            current.uncancel()
        try:
            return self._wrapped.throw(error or thrown)
        except _Interruption as interruption:
            raise _limit(interruption) from interruption.__cause__

    def close(self) -> None:
        """Close the coroutine."""
        self._wrapped.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._wrapped.__await__()


def _limit(error: _Interruption) -> SoftTimeLimitExceeded:
    """The error without the cancellation, for which asyncio would count the task as cancelled."""
    return SoftTimeLimitExceeded(*error.args).with_traceback(error.__traceback__)
