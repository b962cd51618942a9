"""The sweeper: runs once a minute and handles everything that no message triggers.

It inserts the tasks of schedules, retries tasks of lost workers, publishes tasks that are due or whose message was
lost, and deletes old tasks. Concurrent sweepers share the work.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from decant import metrics, runtime
from decant.runtime import Context
from decant.tasks.admin import queue_statistics
from decant.tasks.ids import uuid7
from decant.tasks.options import task_settings
from decant.tasks.publish import publish
from decant.tasks.records import NewTask
from decant.tasks.registry import registry
from decant.tasks.store import store
from decant.tasks.task import Task
from decant.worker.deadline import Deadline

__all__ = ["SweepCounts", "lambda_handler", "sweep"]

log = logging.getLogger("decant.tasks")

_AHEAD_S = 60.0  # until the next sweep: tasks that are due before it are published with a delay, and start on time
_BATCH = 500
_MARGIN_S = 5.0  # longest time of a batch


class SweepCounts(msgspec.Struct, frozen=True):
    """Work of a sweep.

    Attributes:
        ticked: Tasks inserted for ticks of schedules.
        lost: Tasks whose worker was lost.
        published: Tasks published.
        deleted: Tasks deleted.
    """

    ticked: int
    lost: int
    published: int
    deleted: int


def lambda_handler() -> Callable[[dict[str, Any], Context], dict[str, int]]:
    """Create the handler of the function that a schedule starts every minute.

    Its periodic tasks are those of all imported modules.
    """

    async def handle(_event: dict[str, Any], context: Context) -> dict[str, int]:
        swept = await sweep(Deadline.of(context))
        counts: dict[str, int] = msgspec.to_builtins(swept)
        log.info("Sweep completed", extra=counts)
        return counts

    return runtime.current().lambda_function(handle)


async def sweep(deadline: Deadline) -> SweepCounts:
    """Sweep in batches until nothing is due or the time is up.

    Raises:
        DatabaseUnavailable: the next sweep continues.
    """
    counts = SweepCounts(
        ticked=await _tick(),
        lost=await _in_batches(_expire_leases, deadline),
        published=await _in_batches(_publish, deadline),
        deleted=await _in_batches(_delete, deadline),
    )
    if metrics.are_enabled():
        for queue in await queue_statistics():
            metrics.record({"QueueAge": queue.oldest_s or 0.0}, unit="Seconds", queue=queue.queue)
    return counts


async def _in_batches(work: Callable[[], Awaitable[int]], deadline: Deadline) -> int:
    total = 0
    while deadline.remaining_s() > _MARGIN_S:
        count = await work()
        total += count
        if count < _BATCH:
            break
    return total


async def _tick() -> int:
    """Insert the tasks of ticks that are due or will be before the next sweep; returns their number."""
    schedules = {name: task.options.schedule for name, task in registry.items() if task.options.schedule is not None}
    if not schedules:
        return 0

    def due(name: str, after: datetime, now: datetime) -> list[NewTask]:
        times = schedules[name].due(after, now, timedelta(seconds=_AHEAD_S))
        return [_tick_task(registry[name], time) for time in times]

    inserted = await store().tick(list(schedules), due)
    await publish(inserted)
    return len(inserted)


def _tick_task(task: Task[..., Any], time: datetime) -> NewTask:
    return msgspec.structs.replace(task.new((), {}, {"eta": time}), id=_tick_id(task.name, time))


def _tick_id(name: str, time: datetime) -> UUID:
    """The same id for the same tick in every sweeper."""
    digest = hashlib.sha256(f"{name}\n{time.isoformat()}".encode()).digest()
    return uuid7(int(time.timestamp() * 1000), digest)


async def _expire_leases() -> int:
    completed = await store().expire_leases(_BATCH)
    for task_id, state in completed.states.items():
        log.warning("Worker of task was lost", extra={"task_id": str(task_id), "state": state.value})
    await publish(completed.released)
    return len(completed.states)


async def _publish() -> int:
    tasks = await store().unpublished(list(task_settings().queue_urls), _AHEAD_S, _BATCH)
    await publish(tasks)
    return len(tasks)


async def _delete() -> int:
    return await store().delete(task_settings().result_expires_s, _BATCH)
