"""Decant's side: one worker environment fed batches of messages as SQS makes them, on PostgreSQL with its defaults."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import batched
from typing import Any
from uuid import UUID

from decant import loop
from decant.tasks import AsyncResult, State, Task, publish, task
from decant.tasks.publish import encode_message
from decant.tasks.registry import registry
from decant.tasks.store import store
from decant.worker.execution import Deadline
from decant.worker.sqs_handler import handle
from decant_cloud.local.postgres import Postgres, temporary_postgres
from tests.benchmarks.tasks.claims import claim_times_ms
from tests.benchmarks.tasks.sqs_stand_in import sqs_stand_in
from tests.sample.database import migrate

__all__ = ["Decant", "Measured", "decant"]


publishing: Callable[[], AbstractAsyncContextManager[None]] = getattr(publish, "publishing", nullcontext)
"""Versions before 0.1 publish each task by itself."""


@task
async def wait(seconds: float) -> float:
    """Waits, as for another service."""
    await asyncio.sleep(seconds)
    return seconds


@task
async def noop() -> None:
    """Nothing."""


@dataclass(frozen=True)
class Measured:
    """What one measure gave.

    Attributes:
        rate: Tasks a second.
        own_us: Microseconds of this process's own processor time a task; the rest is waiting, for PostgreSQL mostly.
    """

    rate: float
    own_us: float


async def measure(count: int, work: Coroutine[Any, Any, object]) -> Measured:
    """Time the work that so many tasks make."""
    started, own = time.perf_counter(), time.process_time()
    await work
    return Measured(count / (time.perf_counter() - started), 1e6 * (time.process_time() - own) / count)


class Decant:
    """A migrated database and a queue."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def enqueue(self, count: int) -> Measured:
        """Enqueue tasks, one by one."""

        async def one_by_one() -> None:
            async with publishing():  # as a request does
                for _ in range(count):
                    await noop.delay()

        return loop.run(measure(count, one_by_one()))

    def enqueue_many(self, count: int) -> Measured:
        """Enqueue tasks, all at once."""
        return loop.run(measure(count, noop.delay_many([()] * count)))

    def run(self, name: str, arguments: tuple[Any, ...], count: int, batch: int) -> Measured:
        """Run tasks in one worker environment, batch after batch, enqueued beforehand."""
        what: Task[..., Any] = registry[f"{__name__}.{name}"]
        return loop.run(self._run(what, arguments, count, batch))

    async def _run(self, what: Task[..., Any], arguments: tuple[Any, ...], count: int, batch: int) -> Measured:
        jobs = await what.delay_many([arguments] * count)

        async def batches() -> None:
            for some in batched(jobs, batch, strict=False):
                await handle(_records(some), Deadline(120))

        measured = await measure(count, batches())
        await _must_have_succeeded(jobs)
        return measured

    def claim_times_ms(self, *sizes: int) -> list[float]:
        """Milliseconds that a claim of ten rows takes, the median of many, from tables of these sizes."""
        return claim_times_ms(self._postgres, noop, sizes)


async def _must_have_succeeded(jobs: Sequence[AsyncResult]) -> None:
    statuses = (await store().statuses([UUID(job.id) for job in jobs])).values()
    assert len(statuses) == len(jobs)
    assert {status.state for status in statuses} == {State.SUCCESS}


def _records(jobs: Sequence[AsyncResult]) -> list[dict[str, Any]]:
    return [{"messageId": job.id, "body": encode_message(UUID(job.id)), "attributes": {}} for job in jobs]


@contextmanager
def decant() -> Iterator[Decant]:
    """Decant with a PostgreSQL of its own, and a queue that is one in name alone."""
    with temporary_postgres() as postgres, sqs_stand_in() as address:
        os.environ |= {
            "DATABASE_URL": postgres.url(),
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "TASK_QUEUE_URLS": f"default={address}/000000000000/default",
            "LOG_LEVEL": "WARNING",
            "DATABASE_STATEMENT_TIMEOUT_S": "120",
            "TASK_CONCURRENCY": "1000",
        }
        migrate()
        try:
            own = Decant(postgres)
            own.run("noop", (), 500, 100)  # connects, and lets PostgreSQL cache its plans
            own.enqueue(50)
            yield own
        finally:
            loop.run(loop.close())
