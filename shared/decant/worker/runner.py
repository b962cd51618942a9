"""Run claimed tasks concurrently within their time, and record their outcomes."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from uuid import UUID

from decant import metrics
from decant.tasks.options import task_settings
from decant.tasks.records import CancelReason, Claimed, Outcome, State
from decant.tasks.registry import registry
from decant.tasks.store import TRANSIENT, store
from decant.tasks.unawaited import watch
from decant.worker import outcomes
from decant.worker.completions import Completions
from decant.worker.deadline import Deadline
from decant.worker.execution import Execution, describe

__all__ = ["Runner"]

log = logging.getLogger("decant.tasks")

_LEASE_SLACK_S = 5.0
"""Time by which a lease outlasts the deadline: Lambda has killed the worker by then."""

_METRICS = {State.RETRY: "TaskRetries", State.FAILURE: "TaskFailures"}


class Runner:
    """The runs of an invocation; a context manager that sends heartbeats.

    Args:
        deadline: When the invocation is killed.
        renewed_lease_s: Duration of leases that the heartbeat renews, seconds; None for leases that last until the
            deadline.
    Attributes:
        failed: Ids of tasks whose outcome could not be recorded.
    """

    def __init__(self, deadline: Deadline, renewed_lease_s: float | None = None) -> None:
        limits = task_settings()
        self._deadline = deadline
        self._renewed_lease_s = renewed_lease_s
        self._margin_s = limits.margin_s
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._completions = Completions(deadline)
        self._heartbeat = _Heartbeat(limits.heartbeat_s, renewed_lease_s)
        self._counts = defaultdict[str, Counter[str]](Counter)
        self.failed = set[UUID]()

    async def __aenter__(self) -> Self:
        watch()
        self._heartbeat.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._heartbeat.stop()

    @property
    def time_left_s(self) -> float:
        """Seconds that a run started now may take; 0 or less when it is too late."""
        return self._deadline.remaining_s() - self._margin_s

    @property
    def lease_s(self) -> float:
        """Duration of the lease of a task claimed now, seconds."""
        return self._renewed_lease_s or max(0.0, self._deadline.remaining_s()) + _LEASE_SLACK_S

    def stop(self) -> None:
        """Cancel all runs and release their tasks, also those that have not started."""
        self._deadline.shorten(self._margin_s)
        self._heartbeat.cancel_all(CancelReason.SHUTDOWN)

    async def run_due(self, count: int) -> int:
        """Claim and run up to `count` due tasks that have no message; returns their number."""
        claimed = await store().claim_due(list(registry), self.lease_s, count)
        await self.run(claimed)
        return len(claimed)

    async def run(self, claimed: Sequence[Claimed]) -> None:
        """Run tasks until all are finished; an error in a task does not affect the others."""
        by_priority = sorted(claimed, key=lambda task: -task.priority)
        loop = asyncio.get_running_loop()
        runs = {asyncio.Task(self._run(task), loop=loop, eager_start=True): task for task in by_priority}
        if runs:
            await asyncio.wait(runs)
        for run, task in runs.items():
            error = run.exception()
            if error is not None:
                log.error("Could not record task result", exc_info=error, extra=describe(task))
                self.failed.add(task.id)
        while self._counts:
            name, counts = self._counts.popitem()
            metrics.record(counts, task=name)

    async def _run(self, claimed: Claimed) -> None:
        with self._heartbeat.holding(claimed):
            execution = Execution(claimed, registry[claimed.name], lambda: self.time_left_s)
            async with self._slots:
                outcome = await self._outcome(execution)
            if outcome is not None:
                await self._completions.add(claimed, outcome)

    async def _outcome(self, execution: Execution) -> Outcome | None:
        if not execution.has_time():
            return outcomes.released(execution.claimed)
        with self._heartbeat.watching(execution):
            outcome = await execution.outcome()
        self._count(execution.claimed, outcome)
        return outcome

    def _count(self, claimed: Claimed, outcome: Outcome | None) -> None:
        state = None if outcome is None else outcome.state
        if claimed.expired or state is State.PENDING:
            return  # it was not run, or not to its end
        counts = self._counts[claimed.name]
        counts["TaskRuns"] += 1
        if state in _METRICS:
            counts[_METRICS[state]] += 1


class _Heartbeat:
    """Cancels runs that were revoked or lost their lease: a single statement per interval for all runs.

    Args:
        interval_s: Seconds between two checks. There is no check while nothing runs.
        lease_s: Duration of leases that are renewed, from the claim until the outcome is recorded; None to renew none.
    """

    def __init__(self, interval_s: float, lease_s: float | None) -> None:
        self._interval_s = interval_s
        self._lease_s = lease_s
        self._held = dict[UUID, int]()
        self._watched = dict[UUID, Execution]()
        self._checking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._checking = asyncio.create_task(self._check_forever())

    async def stop(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait({self._checking})

    @contextmanager
    def holding(self, claimed: Claimed) -> Iterator[None]:
        """Renew the task's lease inside the block."""
        self._held[claimed.id] = claimed.attempt
        try:
            yield
        finally:
            del self._held[claimed.id]

    @contextmanager
    def watching(self, execution: Execution) -> Iterator[None]:
        self._watched[execution.claimed.id] = execution
        try:
            yield
        finally:
            del self._watched[execution.claimed.id]

    def cancel_all(self, reason: CancelReason) -> None:
        for execution in self._watched.values():
            execution.cancel(reason)

    async def _check_forever(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            if not self._held:
                continue
            try:
                cancelled = await store().heartbeat(list(self._held.items()), self._lease_s)
            except TRANSIENT as error:
                extra = {"tasks": len(self._held), "error": repr(error)}
                log.warning("Could not check whether tasks were revoked; retrying", extra=extra)
                continue
            for task_id in cancelled.keys() & self._watched.keys():
                self._watched[task_id].cancel(cancelled[task_id])
