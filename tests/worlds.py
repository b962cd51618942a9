"""Three environments in which tasks behave alike: memory, PostgreSQL alone, and PostgreSQL with SQS."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db
from decant.tasks import AsyncResult
from decant.tasks.publish import encode_message
from decant.testing import Broker
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from decant.worker.sqs_handler import handle
from decant.worker.sweeper import sweep

__all__ = [
    "MemoryWorld",
    "PostgresWorld",
    "Queue",
    "SqsWorld",
    "World",
    "as_records",
    "deliver",
    "execute",
    "pass_time",
    "sweep_once",
]

_TIMES = ("eta", "expires", "wake_at", "lease_expires_at", "date_created", "date_started", "date_done", "revoked_at")


async def sweep_once() -> None:
    """Run the sweeper once."""
    await sweep(Deadline(60))


class World(Protocol):
    """An environment in which tasks are enqueued and run."""

    async def run(self) -> None:
        """Run due tasks until none is due."""

    async def advance(self, seconds: float) -> None:
        """Advance the time."""

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session in a transaction of its own, as `db.session()`."""


class MemoryWorld:
    """`decant.testing`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def run(self) -> None:
        """Run due tasks until none is due."""
        await sweep_once()
        await self._broker.run()

    async def advance(self, seconds: float) -> None:
        """Advance the time."""
        self._broker.advance(seconds)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session without a database."""
        async with AsyncSession() as session, session.begin():
            yield session


class PostgresWorld:
    """PostgreSQL, and a worker that claims tasks from the table."""

    async def run(self) -> None:
        """Run due tasks until none is due."""
        await sweep_once()
        async with Runner(Deadline(60)) as runner:
            while await runner.run_due(100):
                pass

    async def advance(self, seconds: float) -> None:
        """Advance the time: subtract the seconds from all times in the table."""
        shifts = ", ".join(f"{column} = {column} - make_interval(secs => :seconds)" for column in _TIMES)
        await execute(f"UPDATE decant.task SET {shifts}", seconds=seconds)  # noqa: S608  # our own columns
        await execute("UPDATE decant.step SET due_at = due_at - make_interval(secs => :s)", s=seconds)
        await execute("UPDATE decant.task_limit SET next_at = next_at - make_interval(secs => :s)", s=seconds)
        await execute("UPDATE decant.schedule SET ticked_at = ticked_at - make_interval(secs => :s)", s=seconds)

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session of the database."""
        return db.session()


async def pass_time(world: World, seconds: float) -> None:
    """Advance the time, and run what is due."""
    await world.advance(seconds + 1)
    await world.run()


class Queue(Protocol):
    """The operations of a queue that tests use."""

    def receive(self) -> list[dict[str, Any]]:
        """Receive messages in the format of Lambda's event source."""


class SqsWorld(PostgresWorld):
    """PostgreSQL, SQS, and the handler of the queue's function."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def run(self) -> None:
        """Run due tasks until none is due."""
        await sweep_once()
        while await self._deliver():
            await sweep_once()

    async def _deliver(self) -> int:
        records = self._queue.receive()
        report = await handle(records, Deadline(60)) if records else {"batchItemFailures": []}
        assert report == {"batchItemFailures": []}
        return len(records)


async def deliver(jobs: Sequence[AsyncResult]) -> list[str]:
    """Run tasks as a batch of SQS messages; returns the ids of batch item failures."""
    report = await handle(as_records([job.id for job in jobs]), Deadline(20))
    return [failure["itemIdentifier"] for failure in report["batchItemFailures"]]


def as_records(ids: Sequence[str | UUID]) -> list[dict[str, Any]]:
    """Messages of tasks in the format of Lambda's event source."""
    return [
        {"messageId": f"message-{number}", "body": encode_message(UUID(str(task_id))), "attributes": {}}
        for number, task_id in enumerate(ids)
    ]


async def execute(statement: str, **given: Any) -> list[Any]:
    """Run a statement; returns its rows."""
    async with db.session() as session:
        result: Any = await session.execute(text(statement), given)
        return list(result.mappings()) if result.returns_rows else []
