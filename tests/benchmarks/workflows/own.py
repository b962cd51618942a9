"""Decant's side: one worker that claims runs of the table."""

import math
import os
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db, loop, runtime
from decant.tasks.registry import registry
from decant.tasks.store import store
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from decant.workflows import WorkflowRun, sleep, step, workflow
from decant_cloud.local.postgres import Postgres
from tests.benchmarks.workflows.system import STEPS, Measured, measure
from tests.loading import ROOT, load_module

__all__ = ["Decant"]


async def nothing(number: int) -> int:
    """Return the argument."""
    return number


async def insert(number: int, *, session: AsyncSession) -> int:
    """Insert a row."""
    await session.execute(text("INSERT INTO effect (number) VALUES (:number)"), {"number": number})
    return number


@workflow
async def ten_steps() -> int:
    """Steps that do nothing."""
    return sum([await step(nothing, number) for number in range(STEPS)])


@workflow
async def ten_transactions() -> int:
    """Steps with an effect in their transaction."""
    return sum([await step(insert, number) for number in range(STEPS)])


@workflow
async def long() -> None:
    """Many steps, and a sleep."""
    for number in range(1000):
        await step(nothing, number)
    await sleep(days=1)


class Decant:
    """Decant on a database of the server."""

    def __init__(self, server: Postgres) -> None:
        os.environ["DATABASE_URL"] = server.url()
        os.environ["DATABASE_POOL_SIZE"] = "10"
        os.environ["LOG_LEVEL"] = "WARNING"
        runtime.current().reload()
        load_module(ROOT / "functions/migrate/app.py").handler({}, None)
        loop.run(self._execute("CREATE TABLE effect (number integer)"))
        self.run(20, 20)

    def run(self, count: int, in_flight: int) -> Measured:
        """Run workflows whose steps do nothing."""
        return loop.run(self._run(ten_steps, count, in_flight))

    def run_in_transactions(self, count: int, in_flight: int) -> Measured:
        """Run workflows whose steps insert a row."""
        return loop.run(self._run(ten_transactions, count, in_flight))

    async def _run(self, task: object, count: int, in_flight: int) -> Measured:
        os.environ["TASK_CONCURRENCY"] = str(in_flight)
        runtime.current().reload()
        await task.delay_many([()] * count)  # type: ignore[attr-defined]
        return await measure(count, self._work())

    async def _work(self) -> None:
        async with Runner(Deadline(math.inf), 900) as runner:
            while claimed := await store().claim_due(list(registry), runner.lease_s, 10_000):
                await runner.run(claimed)

    def extras(self) -> tuple[float, float]:
        """Milliseconds to resume a run of 1,000 steps, and bytes per step."""
        return loop.run(self._extras())

    async def _extras(self) -> tuple[float, float]:
        run: WorkflowRun = await long.start()
        await self._work()
        await self._execute("VACUUM decant.step")
        [row] = await self._execute(
            "SELECT pg_total_relation_size('decant.step') / count(*)::float AS bytes FROM decant.step"
        )
        times = []
        for _ in range(5):
            await self._execute("UPDATE decant.task SET wake_at = now(), eta = now() WHERE date_done IS NULL")
            started = time.perf_counter()
            await self._work()
            times.append(1000 * (time.perf_counter() - started))
        await run.revoke()
        return min(times), row["bytes"]

    async def _execute(self, statement: str) -> list[dict[str, float]]:
        async with db.engine().connect() as connection:
            autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
            result = await autocommit.execute(text(statement))
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    def close(self) -> None:
        """Release its connections."""
        loop.run(loop.close())
