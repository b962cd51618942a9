"""The sweeper: runs once a minute and handles everything that no message triggers.

It inserts the tasks of schedules, retries tasks of lost workers, publishes tasks that are due or whose message was
lost, deletes old tasks, and adds finished tasks to the statistics. Concurrent sweepers share the work.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from decant import metrics, runtime
from decant.config import load
from decant.errors import DatabaseUnavailable
from decant.runtime import Context
from decant.tasks.admin import queue_statistics
from decant.tasks.ids import uuid7
from decant.tasks.options import TaskSettings
from decant.tasks.publish import publish
from decant.tasks.records import NewTask
from decant.tasks.registry import Periodic, load_modules, periodic, probe, registry
from decant.tasks.schedule import Schedule
from decant.tasks.store import store
from decant.tasks.task import Task
from decant.worker.execution import Deadline

__all__ = ["SweepCounts", "lambda_handler", "scheduled_task", "sweep"]

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


def lambda_handler() -> Callable[[dict[str, Any], Context], dict[str, Any]]:
    """Create the handler of the function that a schedule starts every minute.

    Its periodic tasks are those of all imported modules. The event `{"probe": true}` tests the queue instead: the
    handler enqueues the task `decant.probe`, waits until a worker has run it, and returns its id and state.
    """

    async def handle(event: dict[str, Any], context: Context) -> dict[str, Any]:
        if event.get("probe"):
            return await run_probe(Deadline.of(context))
        swept = await sweep(Deadline.of(context))
        counts: dict[str, int] = msgspec.to_builtins(swept)
        log.info("Sweep completed", extra=counts)
        return counts

    load_modules()
    return runtime.current().lambda_function(handle)


async def run_probe(deadline: Deadline) -> dict[str, str]:
    """Enqueue the task `decant.probe`, and wait until a worker has run it or 5 s are left.

    Returns:
        The task's id and its state, SUCCESS when queue and worker run tasks.
    """
    enqueued = await probe.delay()
    with suppress(TimeoutError):
        await enqueued.get(timeout=max(0, deadline.remaining_s() - _MARGIN_S), propagate=False)
    return {"id": enqueued.id, "state": await enqueued.state}


async def sweep(deadline: Deadline) -> SweepCounts:
    """Sweep in batches until nothing is due or the time is up.

    Raises:
        DatabaseUnavailable: the next sweep continues.
        ExceptionGroup: some steps failed, for example because a statement was too slow. All other steps were done, and
            the next sweep repeats those that failed.
    """
    steps: dict[str, Callable[[], Awaitable[int]]] = {
        "ticked": _tick,
        "lost": partial(_in_batches, _expire_leases, deadline),
        "published": partial(_in_batches, _publish, deadline),
        "deleted": partial(_in_batches, _delete, deadline),
        "summarized": partial(_in_batches, store().summarize, deadline, 1),
        "measured": _measure,
    }
    counts, errors = dict[str, int](), list[Exception]()
    for name, step in steps.items():
        try:
            counts[name] = await step()
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # reported after the other steps
            errors.append(error)
    if errors:
        raise ExceptionGroup("steps of the sweep failed", errors)
    return msgspec.convert(counts, SweepCounts)


async def _measure() -> int:
    queues = await queue_statistics() if metrics.is_on() else []
    for queue in queues:
        metrics.record({"QueueAge": queue.oldest_s or 0.0}, unit="Seconds", queue=queue.queue)
    return len(queues)


async def _in_batches(work: Callable[[], Awaitable[int]], deadline: Deadline, batch: int | None = None) -> int:
    total = 0
    while deadline.remaining_s() > _MARGIN_S:
        count = await work()
        total += count
        if count < (batch or _BATCH):
            break
    return total


async def _tick() -> int:
    """Insert the tasks of ticks that are due or will be before the next sweep; returns their number.

    Raises:
        ExceptionGroup: some schedules have no ticks; those of all others are inserted.
    """
    tasks = _entries()
    errors: list[Exception] = []

    def due(key: str, after: datetime, now: datetime) -> list[NewTask]:
        try:
            return _tick_tasks(tasks[key], after, now)
        except Exception as error:  # noqa: BLE001  # of the application's code; other schedules go on
            error.add_note(f"Schedule of task {tasks[key].name}")
            errors.append(error)
            return []

    inserted = await store().tick(list(tasks), due)
    await publish(inserted)
    if errors:
        raise ExceptionGroup("schedules without ticks", errors)
    return len(inserted)


def scheduled_task(key: str) -> NewTask | None:
    """A task of a schedule that is due now, beside its ticks; None when no imported module has the schedule."""
    entry = _entries().get(key)
    return None if entry is None else entry.at({})


def _entries() -> dict[str, Periodic]:
    """The schedules of all imported modules, by key."""
    scheduled = [(task, task.options.schedule) for task in registry.values()]
    entries: list[Periodic] = [_TaskEntry(task, schedule) for task, schedule in scheduled if schedule is not None]
    return {_key(entry): entry for entry in [*entries, *periodic.values()]}


class _TaskEntry(msgspec.Struct, frozen=True):
    """A task with its schedule."""

    task: Task[..., Any]
    schedule: Schedule

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def expires_s(self) -> float | None:
        return self.task.options.expires

    def at(self, options: Mapping[str, Any]) -> NewTask:
        return self.task.new((), {}, options, unique=False)


def _key(entry: Periodic) -> str:
    return f"{entry.name} {entry.schedule!r}"


def _tick_tasks(entry: Periodic, after: datetime, now: datetime) -> list[NewTask]:
    lifetime = None if entry.expires_s is None else timedelta(seconds=entry.expires_s)
    tasks = []
    for time in entry.schedule.due(after, now, timedelta(seconds=_AHEAD_S)):
        new = entry.at({"eta": time, "expires": lifetime and time + lifetime})
        tasks.append(msgspec.structs.replace(new, id=_tick_id(entry.name, time)))
    return tasks


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
    tasks = await store().unpublished(list(load(TaskSettings).queue_urls), _AHEAD_S, _BATCH)
    await publish(tasks)
    return len(tasks)


async def _delete() -> int:
    return await store().delete(load(TaskSettings).result_expires_s, _BATCH)
