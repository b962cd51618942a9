"""How much time there is left to run tasks in."""

import time
from typing import Self

from decant.runtime import Context

__all__ = ["Deadline", "Never"]


class Deadline:
    """A moment by which everything must be written down.

    Args:
        seconds: From now until then.
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    @classmethod
    def of(cls, context: Context) -> Self:
        """When Lambda kills the invocation."""
        return cls(context.get_remaining_time_in_millis() / 1000)

    def remaining_s(self) -> float:
        """Seconds until then; negative once it is over."""
        return self._at - time.monotonic()


class Never(Deadline):
    """A moment that keeps its distance, for a process that serves on and on.

    Args:
        seconds: What there always is left: the longest that a run may take.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._distance_s = seconds

    def remaining_s(self) -> float:
        """Always the same."""
        return self._distance_s
