"""Decant's side: one worker that claims runs of the table."""

import asyncio
import os
import subprocess
import sys
import time
from statistics import median

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import loop, runtime
from decant.testing import memory
from decant.worker import run_forever
from decant.workflows import WorkflowRun, sleep, step, wait_for, workflow
from decant_cloud.local.postgres import Postgres
from tests.benchmarks.workflows.ordinary import execute, measure_ordinary, work
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


@workflow
async def waiting() -> None:
    """Wait for a signal."""
    await wait_for("go")


@workflow
async def asleep() -> None:
    """Sleep for days."""
    await sleep(days=3)


async def _sleep_ms() -> float:
    started = time.perf_counter()
    with memory() as broker:
        await asleep.start()
        await broker.run_all()
    return 1000 * (time.perf_counter() - started)


def _import_ms() -> float:
    code = """
import gc, time, decant.worker
gc.disable()  # a collection goes through the objects of all imports before
started = time.process_time()
from decant.workflows import sleep, step, wait_for, workflow
print(1000 * (time.process_time() - started))
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(subprocess.check_output([sys.executable, "-c", code], env=environment))


def _median_ms(*measures: list[float]) -> str:
    return " · ".join(f"{median(measure):.1f} ms" for measure in measures)


class Decant:
    """Decant on a database of the server."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        os.environ["DATABASE_URL"] = server.url()
        os.environ["DATABASE_POOL_SIZE"] = "10"
        os.environ["LOG_LEVEL"] = "WARNING"
        runtime.current().reload()
        load_module(ROOT / "functions/migrate/app.py").handler({}, None)
        loop.run(execute("CREATE TABLE effect (number integer)"))
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
        return await measure(count, work())

    def extras(self) -> dict[str, str]:
        """Measures that the others do not have."""
        return {
            "bytes per step, in table and index": f"{loop.run(self._step_bytes()):.0f}",
            "claim of a run of 1,000 steps until it is back at its position, its processor time": _median_ms(
                *loop.run(self._resume_ms())
            ),
            "signal to receipt, median and 99 %": " · ".join(f"{ms:.0f} ms" for ms in loop.run(self._signal_ms())),
            "processor time of the import of workflow, step, sleep and wait_for after decant.worker": _median_ms(
                [_import_ms() for _ in range(9)]
            ),
            "start, sleep of three days and end in memory": _median_ms([loop.run(_sleep_ms()) for _ in range(5)]),
            "enqueue, run and deletion of ordinary tasks, to those without workflows": measure_ordinary(self._server),
        }

    async def _step_bytes(self) -> float:
        await execute("VACUUM decant.step")
        [row] = await execute(
            "SELECT pg_total_relation_size('decant.step') / count(*)::float AS bytes FROM decant.step"
        )
        return float(row["bytes"])

    async def _resume_ms(self) -> tuple[list[float], list[float]]:
        run: WorkflowRun = await long.start()
        await work()
        times, own = [], []
        for _ in range(9):
            await execute("UPDATE decant.task SET wake_at = now(), eta = now() WHERE date_done IS NULL")
            started, own_started = time.perf_counter(), time.process_time()
            await work()
            times.append(1000 * (time.perf_counter() - started))
            own.append(1000 * (time.process_time() - own_started))
        await run.revoke()
        return times, own

    async def _signal_ms(self) -> tuple[float, float]:
        """Send a signal to each of 200 suspended runs, which a worker of this process resumes."""
        os.environ["TASK_CONCURRENCY"] = "20"
        runtime.current().reload()
        runs = [await waiting.start() for _ in range(200)]
        await work()
        worker = asyncio.create_task(run_forever())
        for run in runs:
            await run.send("go")
        for run in runs:
            await run.result()
        worker.cancel()
        await asyncio.wait({worker})
        rows = await execute("""
            SELECT CAST(extract(epoch FROM step.date_done - signal.date_created) * 1000 AS float8) AS ms
            FROM decant.signal JOIN decant.step USING (task_id) WHERE step.kind = 'signal' ORDER BY ms
        """)
        return rows[100]["ms"], rows[198]["ms"]

    def close(self) -> None:
        """Release its connections."""
        loop.run(loop.close())
