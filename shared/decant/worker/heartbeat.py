"""Check at intervals whether runs were revoked or have lost their lease."""

import asyncio
import logging
from collections.abc import Sequence

from decant.tasks.store import TRANSIENT, store
from decant.worker.execution import Execution
from decant.worker.presence import presence

__all__ = ["Heartbeat"]

log = logging.getLogger("decant.tasks")


class Heartbeat:
    """Cancels runs that were revoked or lost their lease: a single statement per interval for all runs.

    It also reports the worker.

    Args:
        interval_s: Seconds between two checks. There is no check while nothing runs.
        lease_s: Duration of leases that are renewed, from the claim until the outcome is recorded; None to renew none.
        leased: The runs.
        queues: Queues of the worker's tasks; None for all.
    """

    def __init__(
        self, interval_s: float, lease_s: float | None, leased: set[Execution], queues: Sequence[str] | None = None
    ) -> None:
        self._interval_s = interval_s
        self._lease_s = lease_s
        self._leased = leased
        self._queues = queues
        self._first: asyncio.TimerHandle | None = None
        self._checking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the checks after an interval, which most batches of messages do not take."""
        self._first = asyncio.get_running_loop().call_later(self._interval_s, self._start_checking)

    def _start_checking(self) -> None:
        self._checking = asyncio.create_task(self._check_forever())

    async def stop(self) -> None:
        """End the checks."""
        if self._first is not None:
            self._first.cancel()
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait({self._checking})

    async def _check_forever(self) -> None:
        while True:
            await self._check()
            await asyncio.sleep(self._interval_s)

    async def _check(self) -> None:
        await presence().report(len(self._leased), self._queues)
        runs = {execution.claimed.id: execution for execution in self._leased}
        if not runs:
            return
        try:
            cancelled = await store().heartbeat(
                [(task_id, run.claimed.attempt) for task_id, run in runs.items()], self._lease_s
            )
        except TRANSIENT as error:
            extra = {"tasks": len(runs), "error": repr(error)}
            log.warning("Could not check whether tasks were revoked; retrying", extra=extra)
            return
        for task_id, reason in cancelled.items():
            runs[task_id].cancel(reason)
