"""Test tasks without SQS and PostgreSQL: keep them in memory and run them on demand, or run them at once.

A task that takes a `session` still needs a database.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.commit import after_commit
from decant.tasks.records import Enqueued, NewTask
from decant.tasks.store import using
from decant.testing.memory import MemoryStore
from decant.testing.steps import MemorySteps
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from decant.workflows.store import using as using_steps

__all__ = ["Broker", "MemoryStore", "eager", "memory"]

_LEASE_S = 900.0
_ALL = 1_000_000


class Broker:
    """Runs the tasks that were enqueued in a test.

    Attributes:
        store: The store in memory.
    """

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    async def run(self) -> int:
        """Run due tasks, and those that become due by it, until none is due; returns the number of runs."""
        runs = 0
        async with Runner(Deadline(math.inf), _LEASE_S) as runner:
            while count := await runner.run_due(_ALL):
                runs += count
        return runs

    async def run_all(self) -> int:
        """Run all tasks: whenever none is due, the clock is advanced to the next due time."""
        runs = await self.run()
        while (wait_s := self.store.next_publish_in_s()) is not None:
            self.store.advance(wait_s)
            runs += await self.run()
        return runs

    def advance(self, seconds: float) -> None:
        """Advance the clock, for countdowns and retries."""
        self.store.advance(seconds)


class _EagerStore(MemoryStore):
    """Runs tasks before `insert` returns."""

    async def insert(
        self, tasks: Sequence[NewTask], session: AsyncSession | None, *, are_calls: bool = False
    ) -> list[Enqueued]:
        written = await super().insert(tasks, session, are_calls=are_calls)
        if session is None:
            await self.run()
        else:
            after_commit(session, self.run)
        return written

    async def run(self) -> None:
        """Run all tasks."""
        await Broker(self).run_all()


@contextmanager
def memory() -> Iterator[Broker]:
    """Keep tasks that are enqueued inside the block in memory.

    with memory() as broker:
        job = await greet.delay("Ada")
        await broker.run()
        assert await job.result == "Hello, Ada"
    """
    store = MemoryStore()
    with using(store), using_steps(MemorySteps(store)):
        yield Broker(store)


@contextmanager
def eager() -> Iterator[Broker]:
    """Run tasks as soon as they are enqueued inside the block; retries and countdowns do not wait.

    with eager():
        job = await greet.delay("Ada")
        assert await job.result == "Hello, Ada"
    """
    store = _EagerStore()
    with using(store), using_steps(MemorySteps(store, store.run)):
        yield Broker(store)
