"""Writing down how runs ended: one statement for all that end while the one before it is on its way.

Nothing waits for a batch to fill: under load the batches grow by themselves, and a lone run is written at once.
"""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from decant.errors import DatabaseUnavailable
from decant.tasks.announce import announce
from decant.tasks.records import Claimed, Enqueued, Outcome, Settled, State
from decant.tasks.store import store
from decant.worker.deadline import Deadline
from decant.worker.execution import describe

__all__ = ["Completions"]

log = logging.getLogger("decant.tasks")

_PAUSE_S = 0.5


class _Batch:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.written: asyncio.Task[dict[UUID, State]]


class Completions:
    """The ends of one invocation's runs.

    Args:
        deadline: Until when writing is tried again while PostgreSQL is away.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._open: _Batch | None = None
        self._last: asyncio.Task[dict[UUID, State]] | None = None

    async def add(self, claimed: Claimed, outcome: Outcome) -> None:
        """Write down an outcome, and announce the next run if there is one.

        Raises:
            DatabaseUnavailable: PostgreSQL stayed away; the row's lease runs out, and it is run again.
        """
        if self._open is None:
            self._open = _Batch()
            self._last = self._open.written = asyncio.create_task(self._write(self._open, after=self._last))
        batch = self._open
        batch.outcomes.append(outcome)
        state = (await asyncio.shield(batch.written)).get(claimed.id)
        if state is None:
            log.warning("Task was no longer this worker's; how it ended is not kept", extra=describe(claimed))
        elif outcome.announced and state in {State.PENDING, State.RETRY}:
            await announce([Enqueued(claimed.id, claimed.queue, claimed.group_key, outcome.delay_s, announce=True)])

    async def _write(self, batch: _Batch, after: asyncio.Task[dict[UUID, State]] | None) -> dict[UUID, State]:
        if after is not None:
            await asyncio.wait({after})
        self._open = None  # what ends from here on goes into the next
        settled = await self._settle(batch.outcomes)
        await announce(settled.released)
        return settled.states

    async def _settle(self, outcomes: Sequence[Outcome]) -> Settled:
        while True:
            try:
                return await store().settle(outcomes, None)
            except DatabaseUnavailable:
                if self._deadline.remaining_s() < 2 * _PAUSE_S:
                    raise
                log.warning("PostgreSQL is away; trying again", extra={"outcomes": len(outcomes)})
                await asyncio.sleep(_PAUSE_S)
