"""A share of one processor for a process, as Lambda gives a function with little memory.

Lambda's scheduler stops a function that has used up its share until the share has grown again; here a thread does the
same with SIGSTOP. It needs Linux, and no rights.

Source: AWS Lambda Developer Guide, memory: 1,769 MB have one whole processor.
"""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Self

__all__ = ["CpuQuota", "share_of"]

PERIOD_S = 0.02
WHOLE_PROCESSOR_MB = 1769


def share_of(memory_mb: int) -> float:
    """Processors that a function with this much memory gets, 1.0 being a whole one."""
    return memory_mb / WHOLE_PROCESSOR_MB


class CpuQuota:
    """Holds a process to its share while the context is open.

    Args:
        pid: Of the process.
        share: Processors it gets, 1.0 being a whole one; from there on nothing is held back.
    """

    def __init__(self, pid: int, share: float) -> None:
        self._pid = pid
        self._share = share
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def __enter__(self) -> Self:
        if self._share < 1:
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        if self._share < 1:
            self._thread.join()

    def _hold(self) -> None:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has ended
            used_before_s, started = self._used_s(), time.monotonic()
            while not self._over.wait(PERIOD_S / 10):
                # Unused time is lost, as it is for a function: one period may be saved up, no more.
                allowed_s = (time.monotonic() - started) * self._share
                used_s = self._used_s() - used_before_s
                if used_s < allowed_s - PERIOD_S * self._share:
                    started += (allowed_s - used_s) / self._share - PERIOD_S
                os.kill(self._pid, signal.SIGSTOP if used_s > allowed_s else signal.SIGCONT)
            os.kill(self._pid, signal.SIGCONT)

    def _used_s(self) -> float:
        """CPU time of every thread so far; the kernel counts it in nanoseconds."""
        tasks = Path(f"/proc/{self._pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
