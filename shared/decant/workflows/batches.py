"""Statements for many runs at once.

A statement takes all items that were added while the previous statement was executed, as the worker records the
outcomes of tasks: batches grow with the load, and a single item is written at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from typing import Any
from uuid import UUID

from decant import runtime
from decant.tasks.context import running
from decant.tasks.store import TRANSIENT, is_temporary
from decant.tracing import current
from decant.workflows.records import NewStep, Recorded, Taken, Wait
from decant.workflows.store import steps

__all__ = ["StepBatches", "batches"]

log = logging.getLogger("decant.tasks")

_PAUSE_S = 0.5


class _Batches[I, R]:
    """Items of a statement.

    Args:
        execute: Executes the statement; returns a result for every item.
    """

    def __init__(self, execute: Callable[[Sequence[I]], Awaitable[Sequence[R]]]) -> None:
        self._execute = execute
        self._waiting: list[tuple[I, asyncio.Future[R]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._context = copy_context()  # not that of the run which adds the first item
        self._context.run(running.set, None)
        self._context.run(current.set, None)

    def add(self, item: I) -> asyncio.Future[R]:
        """Add an item to the next statement; returns its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, future))
        if self._writing is None:
            self._writing = asyncio.Task(self._write(), loop=loop, context=self._context)
        return future

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._write_batch(batch)
        finally:
            self._writing = None

    async def _write_batch(self, batch: list[tuple[I, asyncio.Future[R]]]) -> None:
        while awaited := [(item, future) for item, future in batch if not future.done()]:
            try:
                results = await self._execute([item for item, _ in awaited])
            except Exception as error:  # noqa: BLE001  # raised where the results are awaited
                if isinstance(error, TRANSIENT) and is_temporary(error):
                    log.warning("Could not record steps; retrying", extra={"steps": len(awaited), "error": repr(error)})
                    await asyncio.sleep(_PAUSE_S)
                elif len(awaited) > 1:  # PostgreSQL may have rejected an item of the batch
                    for one in awaited:
                        await self._write_batch([one])
                else:
                    awaited[0][1].set_exception(error)
                continue
            for (_, future), result in zip(awaited, results, strict=True):
                if not future.done():
                    future.set_result(result)


class StepBatches:
    """The statements of the runs of an event loop."""

    def __init__(self) -> None:
        self._records = _Batches(self._record)
        self._takes = _Batches(self._take)
        self._loads = _Batches(self._load)

    async def close(self) -> None:
        """Nothing to release."""

    def record(self, step: NewStep) -> asyncio.Future[bool]:
        """Record a step; whether it was: otherwise its lease was lost, or it was recorded before."""
        return self._records.add(step)

    def take(self, wait: Wait) -> asyncio.Future[Taken]:
        """Take a signal, if there is any."""
        return self._takes.add(wait)

    def load(self, task_id: UUID) -> asyncio.Future[list[Recorded]]:
        """Read the recorded steps of a run."""
        return self._loads.add(task_id)

    async def _record(self, new: Sequence[NewStep]) -> list[bool]:
        recorded = await steps().record(new)
        return [(step.task_id, step.name, step.n) in recorded for step in new]

    async def _take(self, waits: Sequence[Wait]) -> list[Taken]:
        return await steps().take(waits)

    async def _load(self, ids: Sequence[UUID]) -> list[list[Recorded]]:
        found = await steps().load(list(dict.fromkeys(ids)))
        return [found[task_id] for task_id in ids]


def batches() -> StepBatches:
    """The batches of the running event loop."""
    here: Any = runtime.current()
    found: StepBatches = here.client(StepBatches, StepBatches, StepBatches.close)
    return found
