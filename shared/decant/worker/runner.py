"""Run claimed tasks concurrently within their time, and record their outcomes in batches.

A statement records all runs that end while the previous statement is executed. No batch waits to be filled: batches
grow with the load, and a single outcome is recorded at once.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from decant import metrics
from decant.config import load
from decant.errors import DatabaseUnavailable
from decant.observability import correlate
from decant.tasks.context import watch
from decant.tasks.options import TaskSettings, has_url
from decant.tasks.publish import publish
from decant.tasks.records import CancelReason, Claimed, Completed, Enqueued, Outcome, State
from decant.tasks.registry import registry, runnable
from decant.tasks.store import TRANSIENT, is_temporary, store
from decant.tasks.traces import stored_traceparent
from decant.tracing import tracer
from decant.worker import outcomes
from decant.worker.execution import Deadline, Execution, describe
from decant.worker.heartbeat import Heartbeat
from decant.worker.traces import claiming, run_traced

__all__ = ["Completions", "Runner"]

log = logging.getLogger("decant.tasks")

_LEASE_SLACK_S = 5.0
"""Time by which a lease outlasts the deadline: Lambda has killed the worker by then."""

_PAUSE_S = 0.5

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
        self._counts = defaultdict[str, Counter[str]](Counter) if metrics.is_on() else None
        self._tracer = tracer()
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

    async def run_due(self, count: int) -> int:
        """Claim and run up to `count` due tasks that have no message; returns their number."""
        claimed = await claiming(store().claim_due(runnable(), self.lease_s, count))
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


class _Batch:
    def __init__(self) -> None:
        self.executions: list[Execution] = []
        self.outcomes: list[Outcome] = []
        self.recording: asyncio.Task[None]


class Completions:
    """Outcomes of the runs of an invocation.

    Args:
        deadline: Writing is retried until this time while PostgreSQL is unavailable.
        leased: Runs whose outcomes are not recorded; those that are recorded are removed.
        recorded: Is set whenever outcomes are recorded.
    Attributes:
        unrecorded: Number of outcomes that are not recorded.
    """

    def __init__(self, deadline: Deadline, leased: set[Execution], recorded: asyncio.Event) -> None:
        self.unrecorded = 0
        self._deadline = deadline
        self._leased = leased
        self._recorded = recorded
        self._open: _Batch | None = None
        self._last: asyncio.Task[None] | None = None
        self._context = copy_context()  # not that of the run which opens a batch

    def add(self, execution: Execution, outcome: Outcome) -> asyncio.Task[None]:
        """Record an outcome, and publish the next run if there is any.

        Returns:
            Ends when it is recorded. Raises `DatabaseUnavailable` when PostgreSQL remained unavailable; the lease
            expires, and the task is run again.
        """
        if self._open is None:
            self._open = _Batch()
            writing, loop = self._write(self._open, after=self._last), asyncio.get_running_loop()
            # not `create_task`, whose factory may start the task before it has an outcome
            self._last = self._open.recording = asyncio.Task(writing, loop=loop, context=self._context)
        self._open.executions.append(execution)
        self._open.outcomes.append(outcome)
        self.unrecorded += 1
        return self._open.recording

    async def _write(self, batch: _Batch, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after})
        self._open = None  # outcomes from here on belong to the next batch
        try:
            completed = await self._complete(batch.outcomes)
        except DBAPIError:
            completed = await self._complete_singly(batch.outcomes)
        finally:
            self._leased.difference_update(batch.executions)
            self.unrecorded -= len(batch.outcomes)
            self._recorded.set()
        again = []
        for execution, outcome in zip(batch.executions, batch.outcomes, strict=True):
            claimed, state = execution.claimed, completed.states.get(outcome.id)
            if state is None:
                with correlate(claimed.correlation_id):
                    log.warning("Lease lost; result discarded", extra=describe(claimed))
            elif outcome.id in completed.signalled:
                again.append(_again(claimed, 0, publish=has_url(claimed.queue)))
            elif outcome.publish and state in {State.PENDING, State.RETRY}:
                again.append(_again(claimed, outcome.delay_s, publish=True))
        await publish([*completed.released, *again])

    async def _complete_singly(self, batch: Sequence[Outcome]) -> Completed:
        """Record every outcome by itself, because PostgreSQL rejected the batch; a rejected outcome is a FAILURE."""
        states, released, signalled = dict[UUID, State](), list[Enqueued](), frozenset[UUID]()
        for outcome in batch:
            try:
                completed = await self._complete([outcome])
            except DBAPIError as error:
                log.exception("PostgreSQL rejected a task result", extra={"task_id": str(outcome.id)})
                completed = await self._complete([outcomes.rejected(outcome, error)])
            states |= completed.states
            released += completed.released
            signalled |= completed.signalled
        return Completed(states, released, signalled)

    async def _complete(self, batch: Sequence[Outcome]) -> Completed:
        while True:
            try:
                return await store().complete(batch, None)
            except TRANSIENT as error:
                if not is_temporary(error):
                    raise
                if self._deadline.remaining_s() < 2 * _PAUSE_S:
                    raise DatabaseUnavailable("Task results could not be recorded in time.") from error
                extra = {"outcomes": len(batch), "error": repr(error)}
                log.warning("Could not record task results; retrying", extra=extra)
                await asyncio.sleep(_PAUSE_S)


def _again(claimed: Claimed, due_in_s: float, *, publish: bool) -> Enqueued:
    return Enqueued(
        claimed.id, claimed.queue, claimed.group_key, due_in_s, publish, stored_traceparent(claimed.options)
    )
