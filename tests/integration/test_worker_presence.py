"""Workers in the table that the console lists."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from decant import runtime
from decant.console import queries
from decant.console.records import WorkerStatus
from decant.worker import run_forever
from tests import work
from tests.worlds import PostgresWorld, deliver, execute

pytestmark = pytest.mark.usefixtures("database_url")


async def workers() -> list[WorkerStatus]:
    """The workers that the console lists."""
    return (await queries.overview()).workers


@asynccontextmanager
async def worker_process(queue: str) -> AsyncIterator[WorkerStatus]:
    """A worker of a queue, which is listed; the block gets its row."""
    worker = asyncio.create_task(run_forever(queues=[queue]))
    try:
        while not (listed := await workers()):  # noqa: ASYNC110  # PostgreSQL has no event for it
            await asyncio.sleep(0.01)
        yield listed[0]
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def test_process_is_listed_until_it_ends() -> None:
    """A worker reports at its start, with its queues, and is removed at its end."""
    async with worker_process("mail") as listed:
        assert (listed.is_function, listed.queues, listed.running, listed.active) == (False, ["mail"], 0, 1)

    assert await workers() == []


async def test_function_reports_once_for_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function reports after a batch, and not again within 20 seconds."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop-TaskWorker")
    runtime.current().reload()
    for _ in range(2):
        await deliver([await work.add.delay(1)])
        (row,) = await execute("SELECT xmin, name, is_function FROM decant.worker")
        assert (row["name"], row["is_function"]) == ("shop-TaskWorker", True)
        written = row["xmin"]

    (row,) = await execute("SELECT xmin FROM decant.worker")
    assert row["xmin"] == written


async def test_process_that_stops_reporting_is_a_problem() -> None:
    """A process that was killed is reported as lost; a function that has had no batch is idle."""
    silent = """
        INSERT INTO decant.worker (id, name, is_function, concurrency, running, started_at, seen_at)
        VALUES (gen_random_uuid(), :name, :is_function, 10, 1, now(), now() - interval '2 minutes')
    """
    await execute(silent, name="host:7", is_function=False)
    await execute(silent, name="shop-TaskWorker", is_function=True)

    overview = await queries.overview()

    assert [(each.processes, each.active) for each in overview.workers] == [(1, 0), (1, 0)]
    (problem,) = [each for each in overview.problems if each.kind == "lost"]
    assert (problem.title, "2 min ago" in problem.detail) == ("Worker host:7 has stopped reporting", True)


async def test_environments_of_a_function_are_one_worker() -> None:
    """The console counts those that are active, and the tasks that they run."""
    for running, age_s in ((2, 1), (3, 10), (7, 120)):
        await execute(
            """
            INSERT INTO decant.worker (id, name, is_function, concurrency, running, started_at, seen_at)
            SELECT gen_random_uuid(), 'worker', true, 10, :running, now(), now() - make_interval(secs => :age_s)
            """,
            running=running,
            age_s=age_s,
        )

    (worker,) = await workers()

    assert (worker.processes, worker.active, worker.running) == (3, 2, 5)


async def test_report_deletes_workers_that_are_gone() -> None:
    """Rows that were not renewed for 15 minutes are deleted by the next worker."""
    await execute("""
        INSERT INTO decant.worker (id, name, is_function, concurrency, running, started_at, seen_at)
        VALUES (gen_random_uuid(), 'gone', true, 10, 0, now(), now() - interval '16 minutes')
    """)

    await work.add.delay(1)
    await PostgresWorld().run()
    async with worker_process("mail"):
        names = [row["name"] for row in await execute("SELECT name FROM decant.worker")]

    assert "gone" not in names
