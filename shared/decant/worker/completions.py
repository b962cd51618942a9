"""Record outcomes in batches: a statement for all runs that end while the previous statement is executed.

No batch waits to be filled: batches grow with the load, and a single outcome is recorded at once.
"""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from decant.errors import DatabaseUnavailable
from decant.tasks.publish import publish
from decant.tasks.records import Claimed, Completed, Enqueued, Outcome, State
from decant.tasks.store import TRANSIENT, is_temporary, store
from decant.worker.deadline import Deadline
from decant.worker.execution import describe
from decant.worker.outcomes import rejected

__all__ = ["Completions"]

log = logging.getLogger("decant.tasks")

_PAUSE_S = 0.5


class _Batch:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.written: asyncio.Task[dict[UUID, State]]


class Completions:
    """Outcomes of the runs of an invocation.

    Args:
        deadline: Writing is retried until this time while PostgreSQL is unavailable.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._open: _Batch | None = None
        self._last: asyncio.Task[dict[UUID, State]] | None = None

    async def add(self, claimed: Claimed, outcome: Outcome) -> None:
        """Record an outcome, and publish the next run if there is any.

        Raises:
            DatabaseUnavailable: PostgreSQL remained unavailable; the lease expires, and the task is run again.
        """
        if self._open is None:
            self._open = _Batch()
            self._last = self._open.written = asyncio.create_task(self._write(self._open, after=self._last))
        batch = self._open
        batch.outcomes.append(outcome)
        state = (await asyncio.shield(batch.written)).get(claimed.id)
        if state is None:
            log.warning("Lease lost; result discarded", extra=describe(claimed))
        elif outcome.publish and state in {State.PENDING, State.RETRY}:
            await publish([Enqueued(claimed.id, claimed.queue, claimed.group_key, outcome.delay_s, publish=True)])

    async def _write(self, batch: _Batch, after: asyncio.Task[dict[UUID, State]] | None) -> dict[UUID, State]:
        if after is not None:
            await asyncio.wait({after})
        self._open = None  # outcomes from here on belong to the next batch
        try:
            completed = await self._complete(batch.outcomes)
        except DBAPIError:
            completed = await self._complete_singly(batch.outcomes)
        await publish(completed.released)
        return completed.states

    async def _complete_singly(self, outcomes: Sequence[Outcome]) -> Completed:
        """Record every outcome by itself, because PostgreSQL rejected the batch; a rejected outcome is a FAILURE."""
        states, released = dict[UUID, State](), list[Enqueued]()
        for outcome in outcomes:
            try:
                completed = await self._complete([outcome])
            except DBAPIError as error:
                log.exception("PostgreSQL rejected a task result", extra={"task_id": str(outcome.id)})
                completed = await self._complete([rejected(outcome, error)])
            states |= completed.states
            released += completed.released
        return Completed(states, released)

    async def _complete(self, outcomes: Sequence[Outcome]) -> Completed:
        while True:
            try:
                return await store().complete(outcomes, None)
            except TRANSIENT as error:
                if not is_temporary(error):
                    raise
                if self._deadline.remaining_s() < 2 * _PAUSE_S:
                    raise DatabaseUnavailable("Task results could not be recorded in time.") from error
                extra = {"outcomes": len(outcomes), "error": repr(error)}
                log.warning("Could not record task results; retrying", extra=extra)
                await asyncio.sleep(_PAUSE_S)
