"""The sweeper: once a minute it sees to whatever nothing else will.

Tasks whose message was never sent or got lost, retries and times beyond what a queue can delay, workers that were
lost, periodic tasks, and rows that have been kept long enough. Two sweepers at once share the work.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from decant import runtime
from decant.config import settings
from decant.runtime import Context
from decant.tasks.announce import announce
from decant.tasks.store import store
from decant.worker.deadline import Deadline
from decant.worker.ticks import tick

__all__ = ["Swept", "lambda_handler", "sweep"]

log = logging.getLogger("decant.tasks")

_AHEAD_S = 60.0  # from one sweep to the next: what falls due until then is announced with a delay, and is on time
_BATCH = 500
_MARGIN_S = 5.0  # what a batch may take


class Swept(msgspec.Struct, frozen=True):
    """What a sweep did.

    Attributes:
        ticked: Ticks of periodic tasks that were made into rows.
        lost: Rows taken from workers that were lost.
        announced: Messages sent.
        deleted: Rows deleted.
    """

    ticked: int
    lost: int
    announced: int
    deleted: int


def lambda_handler() -> Callable[[dict[str, Any], Context], dict[str, int]]:
    """Make the handler of the function that a schedule starts every minute.

    Periodic tasks are those of the modules that it has imported.
    """

    async def handle(_event: dict[str, Any], context: Context) -> dict[str, int]:
        swept = await sweep(Deadline.of(context))
        counts: dict[str, int] = msgspec.to_builtins(swept)
        log.info("Swept", extra=counts)
        return counts

    return runtime.current().lambda_function(handle)


async def sweep(deadline: Deadline) -> Swept:
    """See to what is due, batch by batch, as long as there is time.

    Raises:
        DatabaseUnavailable: PostgreSQL is away; the next sweep does what this one did not.
    """
    return Swept(
        ticked=await tick(_AHEAD_S),
        lost=await _in_batches(_expire, deadline),
        announced=await _in_batches(_announce, deadline),
        deleted=await _in_batches(_delete, deadline),
    )


async def _in_batches(work: Callable[[], Awaitable[int]], deadline: Deadline) -> int:
    total = 0
    while deadline.remaining_s() > _MARGIN_S:
        count = await work()
        total += count
        if count < _BATCH:
            break
    return total


async def _expire() -> int:
    settled = await store().expire(_BATCH)
    for task_id, state in settled.states.items():
        log.warning("Task lost its worker", extra={"task_id": str(task_id), "state": state.value})
    await announce(settled.released)
    return len(settled.states)


async def _announce() -> int:
    due = await store().due(list(settings().task_queue_urls), _AHEAD_S, _BATCH)
    await announce(due)
    return len(due)


async def _delete() -> int:
    return await store().delete(settings().task_result_expires_s, _BATCH)
