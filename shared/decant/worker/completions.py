"""Record the outcomes of runs in batches.

A statement records all runs that end while the previous statement is executed. No batch waits to be filled: batches
grow with the load, and a single outcome is recorded at once.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextvars import copy_context
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from decant.errors import DatabaseUnavailable
from decant.observability import correlate
from decant.tasks.options import has_url
from decant.tasks.publish import publish
from decant.tasks.records import Claimed, Completed, Enqueued, Outcome, State
from decant.tasks.store import TRANSIENT, is_temporary, store
from decant.tasks.traces import stored_traceparent
from decant.worker import outcomes
from decant.worker.execution import Deadline, Execution, describe

__all__ = ["Completions"]

log = logging.getLogger("decant.tasks")

_PAUSE_S = 0.5


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
        recorded: Number of batches that were recorded.
    """

    def __init__(self, deadline: Deadline, leased: set[Execution], recorded: asyncio.Event) -> None:
        self.unrecorded = self.recorded = 0
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
            self.recorded += 1
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
