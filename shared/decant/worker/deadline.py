"""Time that is left to run tasks."""

import time
from typing import Self

from decant.runtime import Context

__all__ = ["Deadline", "RollingDeadline"]


class Deadline:
    """The time by which all outcomes must be recorded.

    Args:
        seconds: Seconds from now.
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @classmethod
    def of(cls, context: Context) -> Self:
        """The time at which Lambda kills the invocation."""
        return cls(context.get_remaining_time_in_millis() / 1000)

    def remaining_s(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._at - time.monotonic()


class RollingDeadline(Deadline):
    """A deadline that never comes closer, for a process without a time limit.

    Args:
        seconds: Seconds that always remain: the longest time of a run.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._seconds = seconds

    def remaining_s(self) -> float:
        """The constant number of seconds."""
        return self._seconds
