"""Time that is left to run tasks."""

import time
from typing import Self

from decant.runtime import Context

__all__ = ["Deadline"]


class Deadline:
    """The time by which all outcomes must be recorded.

    Args:
        seconds: Seconds from now; infinity for a process without a time limit.
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @classmethod
    def of(cls, context: Context) -> Self:
        """The time at which Lambda kills the invocation."""
        return cls(context.get_remaining_time_in_millis() / 1000)

    def earlier(self, seconds: float) -> "Deadline":
        """A deadline of its own that lies so many seconds before this one."""
        return Deadline(self.remaining_s() - seconds)

    def remaining_s(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._at - time.monotonic()

    def shorten(self, seconds: float) -> None:
        """Let the deadline be at most this many seconds from now."""
        self._at = min(self._at, time.monotonic() + seconds)
