"""Workers in processes of their own that are killed at each point; PostgreSQL and SQS that go away under them."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from decant import db, runtime
from decant.tasks import AsyncResult, State
from decant.worker.execution import Deadline
from decant.worker.sqs_handler import handle
from decant.worker.sweeper import sweep
from decant_cloud.local.postgres import Postgres
from tests import mortal, work
from tests.loading import PYTHONPATH, ROOT
from tests.sample.database import migrate
from tests.worlds import PostgresWorld, as_records, execute

LEASE_S = 100
"""More than any lease that the process takes."""


def process_command(*ids: str, point: str = "") -> list[str]:
    """Starts a worker in a process of its own with the messages of rows."""
    return [sys.executable, "-m", "tests.worker_process", point, *ids]


def run_process(*ids: str, point: str = "") -> subprocess.CompletedProcess[str]:
    """Give the messages of rows to a worker in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    command = process_command(*ids, point=point)
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


async def make_effect_table() -> None:
    """Where tasks write."""
    await execute("CREATE TABLE effect (name text NOT NULL)")


async def effects() -> list[str]:
    """What tasks have written."""
    return [row["name"] for row in await execute("SELECT name FROM effect ORDER BY name")]


async def recover() -> None:
    """Let leases run out, and the sweeper and a worker see to it."""
    await PostgresWorld().advance(LEASE_S)
    await PostgresWorld().run()


@pytest.mark.usefixtures("database_url")
async def test_worker_killed_before_the_claim_has_done_nothing() -> None:
    """The message comes again, and the run counts none before it."""
    await make_effect_table()
    job = await mortal.records.delay("a")

    killed = run_process(job.id, point="before the claim")
    again = run_process(job.id)

    assert (killed.returncode, again.stdout) == (-9, '{"batchItemFailures": []}\n')
    assert (await effects(), await job.retries) == (["a"], 0)


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize(
    "how",
    [
        pytest.param("SIGKILL", id="out of memory"),
        pytest.param("SIGABRT", id="native crash", marks=pytest.mark.long),
        pytest.param("SIGSEGV", id="segmentation fault", marks=pytest.mark.long),
    ],
)
async def test_worker_killed_in_a_run_has_left_nothing(how: str) -> None:
    """The lease runs out, and the next run has the one effect."""
    await make_effect_table()
    job = await mortal.dies_at_first.delay("a", how)

    killed = run_process(job.id)
    during = await job.state
    await recover()

    assert killed.returncode < 0
    assert (during, await job.state, await job.retries) == (State.STARTED, State.SUCCESS, 1)
    assert await effects() == ["a"]


@pytest.mark.usefixtures("database_url")
async def test_worker_killed_between_writes_and_end_has_written_nothing() -> None:
    """Writes and end are one transaction."""
    await make_effect_table()
    job = await mortal.dies_between_writes_and_end.delay("a")

    run_process(job.id)
    during = await effects()
    await recover()

    assert (during, await effects(), await job.state) == ([], ["a"], State.SUCCESS)


@pytest.mark.usefixtures("database_url")
async def test_worker_killed_before_the_acknowledgement_is_not_repeated() -> None:
    """The message comes again to a row that is done."""
    await make_effect_table()
    job = await mortal.records.delay("a")

    killed = run_process(job.id, point="before the acknowledgement")
    again = run_process(job.id)

    assert (killed.returncode, again.stdout) == (-9, '{"batchItemFailures": []}\n')
    assert (await effects(), await job.state) == (["a"], State.SUCCESS)


@pytest.mark.usefixtures("database_url")
async def test_function_timeout_is_recovered_from() -> None:
    """A run that blocks everything is killed with its process, as Lambda does, and repeated."""
    await make_effect_table()
    job = await mortal.blocks_the_loop.delay()

    with subprocess.Popen(process_command(job.id), env=os.environ | {"PYTHONPATH": PYTHONPATH}, cwd=ROOT) as process:  # noqa: ASYNC220  # it starts without waiting
        await _all_started([job])
        process.kill()
    await recover()

    assert (process.returncode, await job.state, await effects()) == (-9, State.SUCCESS, ["blocked"])


@pytest.mark.long
@pytest.mark.usefixtures("database_url")
async def test_poison_takes_its_neighbours_along_once() -> None:
    """A task that kills every worker fails; those that were beside it succeed."""
    await make_effect_table()
    poison = await mortal.dies_always.delay()
    neighbours = await mortal.records.delay_many([(f"{n}",) for n in range(5)])
    for _ in range(4):  # the three runs of the poison task, and one without it, should it always have been the first
        run_process(*(job.id for job in neighbours), poison.id)
        await PostgresWorld().advance(LEASE_S)
        await sweep(Deadline(30))
    status = await poison.status()

    assert status.failure is not None
    assert (status.state, status.failure.type) == (State.FAILURE, "WorkerLost")
    assert {await job.state for job in neighbours} == {State.SUCCESS}
    assert await effects() == ["0", "1", "2", "3", "4"]


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize("clock", ["clock behind", "clock ahead"])
async def test_workers_clock_does_not_matter(clock: str) -> None:
    """Two minutes off, a worker neither starts what is not due nor leaves what is."""
    await make_effect_table()
    due, later = await mortal.records.delay("a"), await mortal.records.apply_async(("b",), countdown=90)

    run_process(due.id, later.id, point=clock)

    assert (await due.state, await later.state) == (State.SUCCESS, State.PENDING)


@pytest.mark.usefixtures("database_url")
async def test_connections_cut_in_mid_batch_lose_nothing() -> None:
    """Runs go on, and their ends are written over new connections."""
    jobs = await work.sleeps.delay_many([(0.5,)] * 20)
    batch = asyncio.create_task(handle(as_records([job.id for job in jobs]), Deadline(60)))
    await _all_started(jobs)

    await _cut_connections()
    report = await batch

    assert report == {"batchItemFailures": []}
    assert {await job.state for job in jobs} == {State.SUCCESS}


@pytest.mark.usefixtures("database_url")
async def test_connection_cut_under_a_transaction_repeats_the_run() -> None:
    """Nothing of it was kept; that it was not the task's fault needs no `autoretry_for`."""
    await make_effect_table()
    job = await work.record_slowly.delay("a")
    batch = asyncio.create_task(handle(as_records([job.id]), Deadline(60)))
    await _all_started([job])
    await asyncio.sleep(0.1)

    await _cut_connections()
    await batch
    during = (await job.state, await effects())
    await recover()

    assert during == (State.RETRY, [])
    assert (await job.state, await effects()) == (State.SUCCESS, ["a"])


@pytest.fixture
def own_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A migrated server of this test's own, to be stopped and started."""
    # Not below pytest's folder, which every new session closes to other accounts, as PostgreSQL's own.
    with (
        tempfile.TemporaryDirectory(prefix="decant-postgres-") as folder,
        Postgres(Path(folder), settings={"fsync": "off"}) as server,
    ):
        monkeypatch.setenv("DATABASE_URL", server.url())
        runtime.current().reload()
        migrate()
        yield server


async def test_postgres_restarted_in_mid_batch_loses_nothing(own_postgres: Postgres) -> None:
    """Ends wait until it is back."""
    jobs = await work.sleeps.delay_many([(0.5,)] * 20)
    batch = asyncio.create_task(handle(as_records([job.id for job in jobs]), Deadline(60)))
    await _all_started(jobs)

    await asyncio.to_thread(own_postgres.stop)
    await asyncio.sleep(1)
    await asyncio.to_thread(own_postgres.start)
    report = await batch

    assert report == {"batchItemFailures": []}
    assert {await job.state for job in jobs} == {State.SUCCESS}


@pytest.mark.usefixtures("database_url", "queue")
async def test_queue_unreachable_at_a_retry_leaves_it_to_the_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row waits for its time as if nothing were amiss."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    job = await work.flaky.delay(1)

    await handle(as_records([job.id]), Deadline(30))

    assert await job.state is State.RETRY
    assert [row["waits"] for row in await execute("SELECT wake_at = eta AS waits FROM decant.task")] == [True]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("database_url")
def test_storm_of_faults_leaves_every_effect_once() -> None:
    """A hundred tasks, kills, lost messages and outages; `make storm` runs 10,000 and kills PostgreSQL too."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    command = [sys.executable, "-m", "tests.storm", "100"]

    finished = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=800, check=False
    )

    assert finished.returncode == 0, finished.stderr
    assert "0 missing, 0 double, 0 stuck" in finished.stdout
    assert " lost, " in finished.stdout


async def _all_started(jobs: list[AsyncResult]) -> None:
    while State.PENDING in {await job.state for job in jobs}:  # noqa: ASYNC110  # rows have no event
        await asyncio.sleep(0.01)


async def _cut_connections() -> None:
    """Let the server hang up on everybody; the connection that asks for it is cut too, or not."""
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    async with db.session() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(others + "pg_backend_pid()")
