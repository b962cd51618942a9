"""Running claimed rows: so many at once, each within its time, each written down when it ends."""

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from decant.config import load, settings
from decant.db import DatabaseSettings
from decant.tasks.records import Claimed, Outcome, Stop
from decant.tasks.registry import registry
from decant.worker import verdict
from decant.worker.completions import Completions
from decant.worker.deadline import Deadline
from decant.worker.execution import Execution, describe
from decant.worker.heartbeat import Heartbeat

__all__ = ["Runner"]

log = logging.getLogger("decant.tasks")

_LEASE_SLACK_S = 5.0
"""How much longer than its time a lease lasts: Lambda has killed whoever held it by then."""


class Runner:
    """What runs in one invocation; a context manager that watches over it.

    Args:
        deadline: When the invocation is killed.
    Attributes:
        failed: Rows whose end could not be written down.
    """

    def __init__(self, deadline: Deadline) -> None:
        ours = settings()
        self._deadline = deadline
        self._margin_s = ours.task_margin_s
        self._slots = asyncio.Semaphore(ours.task_concurrency)
        self._transactions = asyncio.Semaphore(max(1, load(DatabaseSettings).pool_size - 1))
        self._completions = Completions(deadline)
        self._heartbeat = Heartbeat(ours.task_heartbeat_s)
        self.failed = set[UUID]()

    async def __aenter__(self) -> Self:
        await self._heartbeat.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._heartbeat.stop()

    @property
    def time_left_s(self) -> float:
        """Seconds that a run started now may take; 0 or less when it is too late to start one."""
        return self._deadline.remaining_s() - self._margin_s

    @property
    def lease_s(self) -> float:
        """Seconds that a row claimed now is owned."""
        return max(0.0, self._deadline.remaining_s()) + _LEASE_SLACK_S

    def stop(self) -> None:
        """Cancel whatever runs, and give it back."""
        self._heartbeat.stop_all(Stop.SHUTDOWN)

    async def run(self, claimed: Sequence[Claimed]) -> None:
        """Run rows to their end; what goes wrong with one leaves the others alone."""
        by_priority = sorted(claimed, key=lambda each: -each.priority)
        loop = asyncio.get_running_loop()
        runs = {asyncio.Task(self._run(each), loop=loop, eager_start=True): each for each in by_priority}
        if runs:
            await asyncio.wait(runs)
        for run, each in runs.items():
            error = run.exception()
            if error is not None:
                log.error("How a task ended could not be written down", exc_info=error, extra=describe(each))
                self.failed.add(each.id)

    async def _run(self, claimed: Claimed) -> None:
        async with self._slots:
            outcome = await self._outcome(claimed)
        if outcome is not None:
            await self._completions.add(claimed, outcome)

    async def _outcome(self, claimed: Claimed) -> Outcome | None:
        if self.time_left_s <= 0:
            return verdict.gave_back(claimed)
        execution = Execution(claimed, registry[claimed.name], self.time_left_s, self._transactions)
        with self._heartbeat.watching(execution):
            return await execution.outcome()
