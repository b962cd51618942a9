"""Tasks without SQS and PostgreSQL, for tests: kept in memory and run when told, or at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.commit import after_commit
from decant.tasks.records import Enqueued, NewTask
from decant.tasks.registry import registry
from decant.tasks.store import using
from decant.testing.memory import MemoryStore
from decant.worker.deadline import Never
from decant.worker.runner import Runner

__all__ = ["Broker", "eager", "memory"]

_LONGEST_RUN_S = 900.0
_LOTS = 1_000_000


class Broker:
    """Tasks that were enqueued in a test.

    Attributes:
        store: Where they are.
    """

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    async def run(self) -> int:
        """Run what is due, and whatever becomes due by that, until nothing is; how many runs there were."""
        runs = 0
        async with Runner(Never(_LONGEST_RUN_S)) as runner:
            while claimed := await self.store.claim_due(list(registry), runner.lease_s, _LOTS):
                await runner.run(claimed)
                runs += len(claimed)
        return runs

    async def run_all(self) -> int:
        """The same, but nothing waits: the clock is put forward to whatever is due next."""
        runs = await self.run()
        while (wait_s := self.store.next_due_in_s()) is not None:
            self.store.advance(wait_s)
            runs += await self.run()
        return runs

    def advance(self, seconds: float) -> None:
        """Put the clock forward, for countdowns and retries."""
        self.store.advance(seconds)


class _EagerStore(MemoryStore):
    """Runs whatever is written, before the caller goes on."""

    async def insert(self, tasks: Sequence[NewTask], session: AsyncSession | None) -> list[Enqueued]:
        written = await super().insert(tasks, session)
        if session is None:
            await self._run()
        else:
            after_commit(session, self._run)
        return written

    async def _run(self) -> None:
        await Broker(self).run_all()


@contextmanager
def memory() -> Iterator[Broker]:
    """Keep the tasks that are enqueued inside the block in memory.

    with memory() as broker:
        job = await greet.delay("Ada")
        await broker.run()
        assert await job.result == "Hello, Ada"
    """
    store = MemoryStore()
    with using(store):
        yield Broker(store)


@contextmanager
def eager() -> Iterator[Broker]:
    """Run each task that is enqueued inside the block at once, retries and countdowns without a wait.

    with eager():
        job = await greet.delay("Ada")
        assert await job.result == "Hello, Ada"
    """
    store = _EagerStore()
    with using(store):
        yield Broker(store)
