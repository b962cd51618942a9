"""Decant's side: one worker environment fed batches of messages as SQS makes them, on PostgreSQL with its defaults."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import Any
from uuid import UUID

from decant import loop
from decant.tasks import AsyncResult, State, Task, task
from decant.tasks.announce import encode_message
from decant.tasks.registry import registry
from decant.tasks.store import store
from decant.worker.deadline import Deadline
from decant.worker.messages import handle
from infra.local.postgres import Postgres
from tests.benchmarks.tasks.sqs_stand_in import sqs_stand_in
from tests.loading import load_function

__all__ = ["decant"]


@task
async def wait(seconds: float) -> float:
    """Waits, as for another service."""
    await asyncio.sleep(seconds)
    return seconds


@task
async def noop() -> None:
    """Nothing."""


class Decant:
    """A migrated database and a queue."""

    def enqueue_rate(self, count: int) -> float:
        """Tasks that one process enqueues a second, one by one."""
        return loop.run(self._enqueue_rate(count))

    def enqueue_many_rate(self, count: int) -> float:
        """Tasks that one process enqueues a second, a thousand at once."""
        return loop.run(self._enqueue_many_rate(count))

    def run_rate(self, name: str, arguments: tuple[Any, ...], count: int, batch: int) -> float:
        """Tasks that one worker environment runs a second, batch after batch, enqueued beforehand."""
        what: Task[..., Any] = registry[f"{__name__}.{name}"]
        return loop.run(self._run_rate(what, arguments, count, batch))

    async def _enqueue_rate(self, count: int) -> float:
        await noop.delay()
        started = time.perf_counter()
        for _ in range(count):
            await noop.delay()
        return count / (time.perf_counter() - started)

    async def _enqueue_many_rate(self, count: int) -> float:
        await noop.delay_many([()] * 10)
        started = time.perf_counter()
        await noop.delay_many([()] * count)
        return count / (time.perf_counter() - started)

    async def _run_rate(self, what: Task[..., Any], arguments: tuple[Any, ...], count: int, batch: int) -> float:
        jobs = await what.delay_many([arguments] * count)
        await handle(_records(await noop.delay_many([()])), Deadline(120))
        started = time.perf_counter()
        for some in batched(jobs, batch, strict=False):
            await handle(_records(some), Deadline(120))
        rate = count / (time.perf_counter() - started)
        await _must_have_succeeded(jobs)
        return rate


async def _must_have_succeeded(jobs: Sequence[AsyncResult]) -> None:
    statuses = (await store().statuses([UUID(job.id) for job in jobs])).values()
    assert len(statuses) == len(jobs)
    assert {status.state for status in statuses} == {State.SUCCESS}


def _records(jobs: Sequence[AsyncResult]) -> list[dict[str, Any]]:
    return [{"messageId": job.id, "body": encode_message(UUID(job.id)), "attributes": {}} for job in jobs]


@contextmanager
def decant(folder: Path) -> Iterator[Decant]:
    """Decant with a PostgreSQL of its own, and a queue that is one in name alone."""
    with Postgres(folder) as postgres, sqs_stand_in() as address:
        os.environ |= {
            "DATABASE_URL": postgres.url(),
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "TASK_QUEUE_URLS": f"default={address}/000000000000/default",
            "LOG_LEVEL": "WARNING",
            "TASK_CONCURRENCY": "1000",
        }
        load_function("migrate").handler({}, None)
        try:
            yield Decant()
        finally:
            loop.run(loop.close())
