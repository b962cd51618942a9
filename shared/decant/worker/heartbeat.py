"""A look at the rows of running tasks now and then: one statement for all, and none while nothing runs long."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from decant.errors import DatabaseUnavailable
from decant.tasks.records import Stop
from decant.tasks.store import store
from decant.worker.execution import Execution

__all__ = ["Heartbeat"]

log = logging.getLogger("decant.tasks")


class Heartbeat:
    """Stops runs that were revoked, or whose row is no longer theirs.

    Args:
        interval_s: Seconds from one look to the next.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._watched = dict[UUID, Execution]()
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._beating = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Look no more."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating})

    @contextmanager
    def watching(self, execution: Execution) -> Iterator[None]:
        """Watch over a run inside the block."""
        self._watched[execution.claimed.id] = execution
        try:
            yield
        finally:
            del self._watched[execution.claimed.id]

    def stop_all(self, why: Stop) -> None:
        """Stop every run."""
        for execution in self._watched.values():
            execution.stop(why)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            running = [(each.claimed.id, each.claimed.attempt) for each in self._watched.values()]
            if not running:
                continue
            try:
                stops = await store().stopped(running)
            except DatabaseUnavailable:
                log.warning(
                    "PostgreSQL is away; whether tasks were revoked is not known", extra={"tasks": len(running)}
                )
                continue
            for task_id in stops.keys() & self._watched.keys():
                self._watched[task_id].stop(stops[task_id])
