"""The row of this process in the table of workers, which the console lists.

A process reports at most every 20 seconds: with its heartbeats, and in Lambda also at the end of a batch. No claim and
no outcome waits for it.
"""

import logging
import math
import os
import socket
import time
from collections.abc import Sequence

from decant import runtime
from decant.config import load
from decant.observability import LogSettings
from decant.tasks.ids import uuid7
from decant.tasks.options import TaskSettings
from decant.tasks.records import WorkerReport
from decant.tasks.store import TRANSIENT, store

__all__ = ["Presence", "presence"]

log = logging.getLogger("decant.tasks")

_INTERVAL_S = 20.0


class Presence:
    """Reports this process as a worker."""

    def __init__(self) -> None:
        function = load(LogSettings).function_name
        self._id = uuid7()
        self._name = function or f"{socket.gethostname()}:{os.getpid()}"
        self._is_function = bool(function)
        self._concurrency = load(TaskSettings).concurrency
        self._reported_at = -math.inf

    async def report(self, running: int, queues: Sequence[str] | None = None) -> None:
        """Report the worker, unless it has within the last 20 seconds. A failure is logged.

        Args:
            running: Number of its running tasks.
            queues: Queues of its tasks; None for all.
        """
        if time.monotonic() - self._reported_at < _INTERVAL_S:
            return
        self._reported_at = time.monotonic()
        served = None if queues is None else list(queues)
        report = WorkerReport(self._id, self._name, self._is_function, served, self._concurrency, running)
        try:
            await store().report_worker(report)
        except TRANSIENT as error:
            log.warning("Could not report the worker", extra={"error": repr(error)})

    async def withdraw(self) -> None:
        """Remove the worker, at the end of its process."""
        self._reported_at = -math.inf
        try:
            await store().remove_worker(self._id)
        except TRANSIENT as error:
            log.warning("Could not remove the worker", extra={"error": repr(error)})


def presence() -> Presence:
    """The presence of the current runtime."""
    return runtime.current().get(Presence, Presence)
