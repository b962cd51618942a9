"""Periodic tasks: one row for each tick, however many sweepers look."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from decant.tasks.announce import announce
from decant.tasks.ids import uuid7
from decant.tasks.records import NewTask
from decant.tasks.registry import registry
from decant.tasks.store import store
from decant.tasks.task import Task

__all__ = ["tick"]


async def tick(ahead_s: float) -> int:
    """Write the rows of ticks that are due, or will be within so many seconds; how many."""
    schedules = {name: task.options.schedule for name, task in registry.items() if task.options.schedule is not None}
    if not schedules:
        return 0

    def due(name: str, after: datetime, now: datetime) -> list[NewTask]:
        times = schedules[name].due(after, now, timedelta(seconds=ahead_s))
        return [_row(registry[name], time) for time in times]

    written = await store().tick(list(schedules), due)
    await announce(written)
    return len(written)


def _row(task: Task[..., Any], time: datetime) -> NewTask:
    new = task.new((), {}, {"eta": time})
    return msgspec.structs.replace(new, id=_tick_id(task.name, time))


def _tick_id(name: str, time: datetime) -> UUID:
    """The same for the same tick, whoever sees it."""
    seen = hashlib.sha256(f"{name}\n{time.isoformat()}".encode()).digest()
    return uuid7(int(time.timestamp() * 1000), seen)
