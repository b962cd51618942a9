"""Run claimed tasks concurrently within their time; `completions` records their outcomes in batches."""

import asyncio
import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Self
from uuid import UUID

from decant import metrics
from decant.config import load
from decant.tasks.context import watch
from decant.tasks.limits import name_of
from decant.tasks.options import TaskSettings
from decant.tasks.records import CancelReason, Claimed, Outcome, State
from decant.tasks.registry import registry, runnable
from decant.tasks.store import store
from decant.tracing import tracer
from decant.worker import outcomes
from decant.worker.completions import Completions
from decant.worker.execution import Deadline, Execution, describe
from decant.worker.heartbeat import Heartbeat
from decant.worker.traces import claiming, run_traced

__all__ = ["Runner"]

log = logging.getLogger("decant.tasks")

_LEASE_SLACK_S = 5.0
"""Time by which a lease outlasts the deadline: Lambda has killed the worker by then."""

_AWAITS_S = 0.5
"""Longest time for which claims wait for a recording, which can itself wait for a row that is locked."""

_UNRECORDED = 3
"""Outcomes for each slot that may wait to be recorded while tasks are claimed. The next statement records all of them,
and a killed worker's runs are repeated. With 1, claims of short tasks wait for the statement: two thirds of the rate.
"""

_METRICS = {State.RETRY: "TaskRetries", State.FAILURE: "TaskFailures"}


class Runner:
    """The runs of an invocation; a context manager that sends heartbeats.

    Args:
        deadline: When the invocation is killed.
        renewed_lease_s: Duration of leases that the heartbeat renews, seconds; None for leases that last until the
            deadline.
        run_ended: Is set whenever a run ends or outcomes are recorded.
        queues: Queues of the tasks; None for all.
    Attributes:
        failed: Ids of tasks whose outcome could not be recorded.
    """

    def __init__(
        self,
        deadline: Deadline,
        renewed_lease_s: float | None = None,
        run_ended: asyncio.Event | None = None,
        queues: Sequence[str] | None = None,
    ) -> None:
        settings = load(TaskSettings)
        self._deadline = deadline
        self._runs_end = deadline.earlier(settings.margin_s)
        self._margin_s = settings.margin_s
        self._renewed_lease_s = renewed_lease_s
        self._concurrency = settings.concurrency
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._run_ended = run_ended or asyncio.Event()
        self._leased = set[Execution]()  # until their outcomes are recorded
        self._completions = Completions(deadline, self._leased, self._run_ended)
        self._heartbeat = Heartbeat(settings.heartbeat_s, renewed_lease_s, self._leased, queues)
        self._last_claim = _Claim()
        self._counts = defaultdict[str, Counter[str]](Counter) if metrics.is_on() else None
        self._tracer = tracer()
        self.failed = set[UUID]()

    async def __aenter__(self) -> Self:
        watch()
        self._heartbeat.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._heartbeat.stop()

    @property
    def time_left_s(self) -> float:
        """Seconds that a run started now may take; 0 or less when it is too late."""
        return self._runs_end.remaining_s()

    @property
    def lease_s(self) -> float:
        """Duration of the lease of a task claimed now, seconds."""
        return self._renewed_lease_s or max(0.0, self._deadline.remaining_s()) + _LEASE_SLACK_S

    @property
    def free(self) -> int:
        """Number of tasks to claim: those that can start now, while outcomes of others are recorded."""
        leased = len(self._leased)
        running = leased - self._completions.unrecorded
        return min(self._concurrency - running, (1 + _UNRECORDED) * self._concurrency - leased)

    def stop(self) -> None:
        """Cancel all runs and release their tasks, also those that have not started."""
        self._deadline.shorten(self._margin_s)
        self._runs_end.shorten(0)
        for execution in self._leased:
            execution.cancel(CancelReason.SHUTDOWN)

    @property
    def awaits_places(self) -> bool:
        """Whether a claim would probably find nothing before an outcome is recorded, which frees places of limits.

        The last claim found only tasks whose limits are used up by this worker, of which some have ended.
        """
        last = self._last_claim
        if not self._completions.unrecorded or self._completions.recorded != last.recorded or "" in last.limit_keys:
            return False
        leased = Counter(execution.claimed.limit_key for execution in self._leased)
        used_up = all(leased[key] >= _places(key) for key in last.limit_keys)
        return used_up and time.monotonic() - last.at_s < _AWAITS_S

    async def claim_due(self, count: int, queues: Sequence[str] | None = None) -> list[Claimed]:
        """Claim up to `count` due tasks that have no message."""
        recorded, at_s = self._completions.recorded, time.monotonic()
        claimed = await claiming(store().claim_due(runnable(queues), self.lease_s, count))
        self._last_claim = _Claim({task.limit_key for task in claimed}, recorded, at_s)
        return claimed

    async def run_due(self, count: int) -> int:
        """Claim and run up to `count` due tasks that have no message; returns their number."""
        claimed = await self.claim_due(count)
        await self.run(claimed)
        return len(claimed)

    async def run(self, claimed: Sequence[Claimed]) -> None:
        """Run tasks until all are finished; an error in a task does not affect the others."""
        by_priority = sorted(claimed, key=lambda task: -task.priority)
        loop = asyncio.get_running_loop()
        runs = {asyncio.Task(self._run(task), loop=loop, eager_start=True): task for task in by_priority}
        await _ended([run for run in runs if not run.done()])
        recorded = {run: run.result() for run in runs if run.exception() is None}
        await _ended({recording for recording in recorded.values() if recording is not None})
        for run, task in runs.items():
            error = (recorded.get(run) or run).exception()
            if error is not None:
                log.error("Could not record task result", exc_info=error, extra=describe(task))
                self.failed.add(task.id)
        while self._counts:
            name, counts = self._counts.popitem()
            metrics.record(counts, task=name)

    async def _run(self, claimed: Claimed) -> asyncio.Task[None] | None:
        """Run a task, and return the recording of its outcome; None when there is nothing to record."""
        execution = Execution(claimed, registry[claimed.name], self._runs_end)
        self._leased.add(execution)
        outcome = None
        try:
            async with self._slots:
                outcome = await self._outcome(execution)
            return None if outcome is None else self._completions.add(execution, outcome)
        finally:
            if outcome is None:
                self._leased.discard(execution)
            self._run_ended.set()

    async def _outcome(self, execution: Execution) -> Outcome | None:
        if not execution.has_time():
            return outcomes.released(execution.claimed)
        outcome = await (execution.outcome() if self._tracer is None else run_traced(self._tracer, execution))
        if self._counts is not None:
            _count(self._counts[execution.claimed.name], execution.claimed, outcome)
        return outcome


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


def _count(counts: Counter[str], claimed: Claimed, outcome: Outcome | None) -> None:
    state = None if outcome is None else outcome.state
    if claimed.expired or state is State.PENDING:
        return  # it was not run, or not to its end
    counts["TaskRuns"] += 1
    if state in _METRICS:
        counts[_METRICS[state]] += 1


def _places(limit_key: str) -> float:
    limit = registry[name_of(limit_key)].limit
    return math.inf if limit is None or limit.concurrency is None else limit.concurrency


class _Claim(NamedTuple):
    """A claim of due tasks.

    Attributes:
        limit_keys: Limit keys of the tasks that it found.
        recorded: Number of batches of outcomes that were recorded before it.
        at_s: Its time, by the monotonic clock.
    """

    limit_keys: Collection[str] = ("",)
    recorded: int = 0
    at_s: float = 0.0
