"""The worker without SQS."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from decant import db, runtime
from decant.tasks import AsyncResult, State, chain, every, task
from decant.tasks.records import Runnable
from decant.tasks.registry import registry
from decant.tasks.store.postgres import PostgresStore
from decant.worker import run_forever
from tests import work
from tests.loading import PYTHONPATH, ROOT
from tests.worlds import PostgresWorld, execute

pytestmark = pytest.mark.usefixtures("database_url")


@asynccontextmanager
async def serving(poll_s: float = 1) -> AsyncIterator[None]:
    """A worker that runs inside the block."""
    worker = asyncio.create_task(run_forever(poll_s))
    try:
        yield
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def test_task_is_run_without_a_queue() -> None:
    """A task without a message is run."""
    async with serving():
        job = await work.add.delay(1, 2)

        assert await job.get(timeout=60) == 3


async def test_task_that_waited_before_the_worker_came_is_run() -> None:
    """A task that was enqueued before the worker started is run."""
    job = await work.add.delay(1, 2)

    async with serving():
        assert await job.get(timeout=60) == 3


async def test_retry_and_workflow_are_run() -> None:
    """Retries and workflows continue."""
    async with serving():
        retried = await work.retries_itself.delay(0.01)
        chained = await chain(work.add.s(1, 2), work.add.s(10)).delay()

        assert await chained.get(timeout=60) == 13
        assert await retried.get(timeout=60, propagate=False) is None


async def test_row_of_a_process_that_was_killed_is_run_again() -> None:
    """The worker sweeps when it starts."""
    job = await work.add.delay(1, 2)
    await PostgresStore().claim([UUID(job.id)], Runnable(list(registry)), 1, alone=True)
    await PostgresWorld().advance(2)

    async with serving():
        assert await job.get(timeout=60) == 3


async def test_stopped_worker_gives_back_what_it_runs() -> None:
    """A cancelled worker releases its tasks."""
    async with serving():
        job = await work.sleeps.delay(30)
        while await job.state is not State.STARTED:  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.01)
    status = await job.status()

    assert (status.state, status.retries) == (State.PENDING, 0)


@pytest.mark.usefixtures("new_tasks")
async def test_ticks_and_countdowns_start_on_time() -> None:
    """The worker waits until the next task is due and not until its next poll, which is an hour away."""

    @task(name="beat", schedule=every(1))
    async def beat() -> None:
        """Nothing."""

    async with serving(poll_s=3600):
        job = await work.add.apply_async((1, 2), countdown=0.5)
        await job.get(timeout=60)
        while await count_started("beat") < 3:  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.1)


async def count_started(name: str) -> int:
    """Number of tasks of this name that were started."""
    started = "SELECT count(date_started) AS started FROM decant.task WHERE name = :name"
    (row,) = await execute(started, name=name)
    return int(row["started"])


@asynccontextmanager
async def locked_table(url: str) -> AsyncIterator[None]:
    """All statements on the table of tasks wait inside the block, longer than the statement timeout."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE decant.task IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def started(job: AsyncResult) -> None:
    """Wait until a task runs."""
    while await job.state is not State.STARTED:  # noqa: ASYNC110  # a row has no event
        await asyncio.sleep(0.01)


async def test_statement_timeouts_stop_neither_worker_nor_heartbeat_nor_completion(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims, sweeps, heartbeats and completions time out for a while, and all of them are retried."""
    monkeypatch.setenv("DATABASE_STATEMENT_TIMEOUT_S", "0.2")
    monkeypatch.setenv("TASK_HEARTBEAT_S", "0.1")
    runtime.current().reload()
    async with serving(poll_s=0.1):
        ends, revoked = await work.sleeps.delay(0.5), await work.sleeps.delay(30)
        await started(ends)
        await started(revoked)
        async with locked_table(database_url):
            await asyncio.sleep(1.5)
        await revoked.revoke(terminate=True)
        later = await work.add.delay(1, 2)

        assert await ends.get(timeout=60) == "slept"
        assert await later.get(timeout=60) == 3
        assert await revoked.get(timeout=60, propagate=False) is None


async def test_lease_is_short_and_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks of a killed process are claimable within half a minute, however long they may run."""
    monkeypatch.setenv("TASK_HEARTBEAT_S", "0.1")
    runtime.current().reload()
    async with serving():
        job = await work.sleeps.delay(30)
        await started(job)
        await execute("UPDATE decant.task SET lease_expires_at = now() + interval '2 seconds'")
        while (left_s := await lease_s()) <= 2:  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.1)

    assert left_s <= 30


async def lease_s() -> float:
    """Seconds until the lease of the only task expires."""
    left_s = "extract(epoch FROM lease_expires_at - clock_timestamp())"
    (row,) = await execute(f"SELECT {left_s} AS lease_s FROM decant.task")  # noqa: S608  # a constant
    return float(row["lease_s"])


@pytest.mark.usefixtures("new_tasks")
async def test_next_task_runs_while_an_outcome_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TASK_CONCURRENCY=1, a task runs while the row of the previous task is locked."""
    monkeypatch.setenv("TASK_CONCURRENCY", "1")
    runtime.current().reload()
    started, may_end, ran = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @task(name="first")
    async def first() -> None:
        started.set()
        await may_end.wait()

    @task(name="second")
    async def second() -> None:
        ran.set()

    async with serving(), asyncio.timeout(60):
        jobs = [await first.delay()]
        await started.wait()
        jobs.append(await second.delay())
        async with db.session() as session:
            lock = text("SELECT id FROM decant.task WHERE id = :id FOR UPDATE")
            await session.execute(lock, {"id": UUID(jobs[0].id)})
            may_end.set()
            await ran.wait()
            state = await jobs[0].state
        for job in jobs:
            await job.get()

    assert state is State.STARTED


async def test_sigint_ends_the_worker_and_releases_its_tasks() -> None:
    """A process whose task is running ends at Ctrl-C; the task is not a failure."""
    job = await work.sleeps.delay(30)
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    program = (
        "from decant import loop; from decant.worker import run_forever; import tests.work; loop.run(run_forever())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        await asyncio.wait_for(started(job), 120)
        process.send_signal(signal.SIGINT)
        _, errors = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()

    assert b"KeyboardInterrupt" in errors
    assert (await job.state, await job.retries) == (State.PENDING, 0)


async def test_task_of_another_process_is_started_at_once() -> None:
    """PostgreSQL notifies the worker, whose next poll is an hour away."""
    async with serving(poll_s=3600):
        await listening()
        job = await in_other_process()

        assert await job.get(timeout=60) == 3


async def test_worker_listens_again_after_its_connection_was_lost() -> None:
    """What was enqueued meanwhile is found as soon as the connection is open again."""
    async with serving(poll_s=3600):
        await listening()
        await execute(f"SELECT pg_terminate_backend(pid) {_LISTENS}")
        job = await in_other_process()

        assert await job.get(timeout=60) == 3


async def test_worker_behind_a_pooler_polls(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One warning contains the reason."""
    monkeypatch.setenv("DATABASE_POOLER", "true")
    runtime.current().reload()

    async with serving(poll_s=0.1):
        job = await in_other_process()

        assert await job.get(timeout=60) == 3
    assert [record.getMessage() for record in caplog.records].count(POLLING) == 1


_LISTENS = "FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
POLLING = "Notifications need a direct connection to PostgreSQL, and DATABASE_URL leads to a pooler: polling"


async def in_other_process() -> AsyncResult:
    """The call `add(1, 2)` of a process that has ended."""
    code = "from decant import loop; from tests import work; print(loop.run(work.add.delay(1, 2)).id)"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )
    output, _ = await process.communicate()
    return AsyncResult(output.decode().strip())


async def listening() -> None:
    """Wait until the worker's connection listens."""
    while not await execute(f"SELECT pid {_LISTENS}"):  # noqa: ASYNC110  # a connection of the server has no event
        await asyncio.sleep(0.01)
