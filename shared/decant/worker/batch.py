"""A batch of messages: claimed in one statement, and run together."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from uuid import UUID

from decant.errors import DatabaseUnavailable
from decant.tasks.announce import announce
from decant.tasks.records import FINISHED, Claimed, Enqueued, State, Unclaimed
from decant.tasks.registry import registry
from decant.tasks.store import store
from decant.worker.deadline import Deadline
from decant.worker.runner import Runner

__all__ = ["run_batch"]

log = logging.getLogger("decant.tasks")

_CLAIM_PATIENCE_S = 5.0  # how long a claim is tried again while PostgreSQL is away
_PAUSE_S = 0.5
_SOON_S = 1.0  # a message that is this early is none too early: clocks differ


async def run_batch(ids: Iterable[UUID], deadline: Deadline) -> set[UUID]:
    """Run the rows that messages name.

    Rows that are done, under way, or not yet due are left alone, and their messages are done with. Rows whose worker
    was lost before run after the others and one by one, so that what kills its worker takes no neighbour with it
    twice.

    Returns:
        Those whose messages must come again.
    Raises:
        DatabaseUnavailable: none could be claimed; all messages must come again.
    """
    named = set(ids)
    async with Runner(deadline) as runner:
        claimed = await _claim(sorted(named), runner.lease_s)
        await runner.run(claimed)
        for row in await _left(named - {each.id for each in claimed}, runner.failed):
            await _run_alone(row, runner)
    return runner.failed


async def _claim(ids: Sequence[UUID], lease_s: float) -> list[Claimed]:
    patience = Deadline(min(_CLAIM_PATIENCE_S, lease_s / 4))
    while True:
        try:
            return await store().claim(ids, list(registry), lease_s, alone=len(ids) == 1)
        except DatabaseUnavailable:
            if patience.remaining_s() < _PAUSE_S:
                raise
            await asyncio.sleep(_PAUSE_S)


async def _left(ids: set[UUID], failed: set[UUID]) -> list[Unclaimed]:
    """Of the rows that were not claimed, those that can be, one at a time; adds to `failed` what must come again."""
    if not ids:
        return []
    try:
        rows = await store().look_up(sorted(ids))
    except DatabaseUnavailable:
        failed |= ids
        return []
    for stranger in ids - {row.id for row in rows}:
        log.warning("Message for a task that does not exist is dropped", extra={"task_id": str(stranger)})
    waiting = [row for row in rows if row.state not in FINISHED and row.state is not State.STARTED]
    unknown = [row for row in waiting if row.name not in registry]
    if unknown:
        await _send_back(unknown)
        failed.update(row.id for row in unknown)
    return [row for row in waiting if row.name in registry and row.due_in_s <= _SOON_S]


async def _run_alone(row: Unclaimed, runner: Runner) -> None:
    if runner.time_left_s > row.due_in_s:
        await asyncio.sleep(max(0.0, row.due_in_s))
        await runner.run(await _claim([row.id], runner.lease_s))
    else:
        await announce([Enqueued(row.id, row.queue, row.group_key, 0, announce=True)])


async def _send_back(rows: Sequence[Unclaimed]) -> None:
    """Say why messages come again; until a deployment knows these tasks, or the queue has had enough."""
    for row in rows:
        extra = {"task_id": str(row.id), "task": row.name, "queue": row.queue}
        log.warning("Task is not known here; its message comes again", extra=extra)
    try:
        await store().note([row.id for row in rows], "The worker did not know a task of this name.")
    except DatabaseUnavailable:
        log.warning("PostgreSQL is away; the rows do not say why they wait", extra={"tasks": len(rows)})
