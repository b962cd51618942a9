"""Results that open pages share: each is computed at most once a second in a process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from decant import runtime

__all__ = ["SharedResults", "shared_results"]

_FRESH_S = 1.0


class SharedResults:
    """Results of an event loop by key."""

    def __init__(self) -> None:
        self._results: dict[str, tuple[float, Any]] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def get[T](self, key: str, compute: Callable[[], Awaitable[T]]) -> T:
        """The result that was computed within the last second, or a new one."""
        async with self._turns.setdefault(key, asyncio.Lock()):
            computed_at, result = self._results.get(key, (0.0, None))
            if time.monotonic() - computed_at >= _FRESH_S:
                result = await compute()
                self._results[key] = time.monotonic(), result
            fresh: T = result
        return fresh

    def forget(self) -> None:
        """Compute all results anew, because an action has changed what they show."""
        self._results.clear()

    async def close(self) -> None:
        """Nothing to release."""


def shared_results() -> SharedResults:
    """The results of the running event loop."""
    return runtime.current().client(SharedResults, SharedResults, SharedResults.close)
