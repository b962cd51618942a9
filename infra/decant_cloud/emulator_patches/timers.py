"""One thread for the timers of all environments.

LocalStack starts a thread after each invocation, which waits ten minutes for the environment to be idle, and ends it
before the next.
"""

import threading
import time
from collections.abc import Callable

from localstack.services.lambda_.invocation import execution_environment

__all__ = ["share_timers"]

LOOK_EVERY_S = 0.25


def share_timers() -> None:
    """Give environments such timers from now on."""
    timers = _Timers()
    execution_environment.Timer = lambda interval_s, function: _Timer(timers, interval_s, function)


class _Timers:
    """Timers that have been started and not cancelled, and the thread that looks at them."""

    def __init__(self) -> None:
        self._due_at: dict[_Timer, float] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="timers", daemon=True).start()

    def add(self, timer: "_Timer", due_at: float) -> None:
        with self._lock:
            self._due_at[timer] = due_at

    def remove(self, timer: "_Timer") -> None:
        with self._lock:
            self._due_at.pop(timer, None)

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            with self._lock:
                due = [timer for timer, due_at in self._due_at.items() if due_at <= now]
                for timer in due:
                    del self._due_at[timer]
            for timer in due:
                threading.Thread(target=timer.function, name="timer", daemon=True).start()


class _Timer:
    """What LocalStack uses of `threading.Timer`; it is up to a quarter of a second late."""

    def __init__(self, timers: _Timers, interval_s: float, function: Callable[..., None]) -> None:
        self.function = function
        self._timers = timers
        self._interval_s = interval_s

    def start(self) -> None:
        """Have the function called in a while, in a thread of its own."""
        self._timers.add(self, time.monotonic() + self._interval_s)

    def cancel(self) -> None:
        """Have it called no more."""
        self._timers.remove(self)
