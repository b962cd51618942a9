"""Time spent waiting for a free connection is not running time, and a busy pool is not an unreachable database.

Reports: sqlalchemy/sqlalchemy 5308, langgenius/dify 30536.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db, runtime
from decant.errors import PoolExhausted
from decant.tasks import AsyncResult, State, task
from decant.tasks.records import Runnable
from decant.tasks.registry import registry
from decant.tasks.store import store
from decant.worker import run_forever
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from tests import work
from tests.worlds import execute

pytestmark = pytest.mark.usefixtures("database_url", "new_tasks")

_OPEN = "SELECT count(*) AS open FROM decant.task WHERE date_done IS NULL"


async def failures(jobs: Sequence[AsyncResult]) -> list[Any]:
    """Run a worker until every task has ended; the failures of those that did not succeed."""
    worker = asyncio.create_task(run_forever(0.02))
    try:
        async with asyncio.timeout(30):
            while (await execute(_OPEN))[0]["open"]:  # noqa: ASYNC110  # a row has no event
                await asyncio.sleep(0.1)
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    statuses = [await job.status() for job in jobs]
    return [status.failure for status in statuses if status.state is not State.SUCCESS]


@pytest.mark.parametrize("limit", ["time_limit", "soft_time_limit"])
async def test_time_limit_of_a_transactional_task_starts_with_its_transaction(limit: str) -> None:
    """Twenty runs of 0.3 s on the few connections of the pool take longer in total than the limit of 1 s."""
    options: dict[str, Any] = {"name": "reports.book", "max_retries": 0, limit: 1}

    async def book(_number: int, *, session: AsyncSession) -> None:
        await session.execute(text("SELECT pg_sleep(0.3)"))

    booking = task(**options)(book)
    jobs = await booking.delay_many([(number,) for number in range(20)])

    failed = await failures(jobs)

    assert failed == []


async def test_busy_pool_is_not_an_unreachable_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty sessions of 0.3 s on the few connections of the pool take longer than DATABASE_CONNECT_TIMEOUT_S."""
    monkeypatch.setenv("DATABASE_CONNECT_TIMEOUT_S", "1")
    runtime.current().reload()

    @task(name="reports.report", max_retries=0)
    async def report(number: int) -> int:
        async with db.session() as session:
            await session.execute(text("SELECT pg_sleep(0.3)"))
        return number

    jobs = await report.delay_many([(number,) for number in range(40)])

    failed = await failures(jobs)

    assert failed == []


def configure(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Set environment variables, and read them."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    runtime.current().reload()


async def test_session_of_an_exhausted_pool_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the pool and its size, and not an unreachable database."""
    configure(monkeypatch, DATABASE_POOL_SIZE="1", DATABASE_CONNECT_TIMEOUT_S="1.5")

    async def another() -> None:
        async with db.session():
            pass

    async with db.session():
        with pytest.raises(PoolExhausted) as caught:
            await asyncio.create_task(another())

    assert str(caught.value) == "All connections of the pool (DATABASE_POOL_SIZE=1) were in use for 1.5 s."


async def test_connection_is_free_after_the_wait_for_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that gave up waiting holds nothing, within a run and outside of it."""
    configure(monkeypatch, DATABASE_POOL_SIZE="2", DATABASE_CONNECT_TIMEOUT_S="2")
    db.wait_for_turn()
    async with db.session():
        waits = asyncio.create_task(_wait_in_another_run())
        await asyncio.sleep(2.2)
        waits.cancel()
        await asyncio.wait({waits})
    async with db.session() as session:
        found = (await session.execute(text("SELECT 1"))).scalar_one()

    assert found == 1


async def _wait_in_another_run() -> None:
    db.wait_for_turn()
    async with db.session():
        pass


async def test_enqueue_with_the_only_connection_in_use_names_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """`delay()` in the session of the same asyncio task raises at once, and nothing else waits for it."""
    configure(monkeypatch, DATABASE_POOL_SIZE="1", DATABASE_CONNECT_TIMEOUT_S="60")

    async with db.session() as session:
        with pytest.raises(RuntimeError, match="session=session"):
            await work.add.delay(1)
        job = await work.add.apply_async((1,), session=session)

    assert await job.state is State.PENDING


async def test_transactional_task_that_enqueues_without_its_session_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a pool of one connection the task fails, and its failure names `session=session`."""
    configure(monkeypatch, DATABASE_POOL_SIZE="1", DATABASE_CONNECT_TIMEOUT_S="60")

    @task(name="reports.enqueues", max_retries=0)
    async def enqueues(*, session: AsyncSession) -> None:  # noqa: ARG001  # makes the task transactional
        await work.add.delay(1)

    job = await enqueues.delay()

    (failure,) = await failures([job])

    assert failure.type == "RuntimeError"
    assert "session=session" in failure.message


@pytest.mark.parametrize("transactional", [True, False], ids=["connection", "slot"])
async def test_run_is_not_started_with_too_little_time(monkeypatch: pytest.MonkeyPatch, transactional: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Runs that waited until most of the invocation's time was gone are released, and do not count."""
    configure(monkeypatch, DATABASE_POOL_SIZE="2", TASK_MARGIN_S="0.5")
    began = []

    async def holds(number: int) -> None:
        began.append(number)
        await asyncio.sleep(1.5)

    async def holds_session(number: int, *, session: AsyncSession) -> None:  # noqa: ARG001  # makes the task transactional
        await holds(number)

    if not transactional:
        configure(monkeypatch, TASK_CONCURRENCY="1")
    hold = task(name="reports.hold", max_retries=0)(holds_session if transactional else holds)
    jobs = await hold.delay_many([(number,) for number in range(3)])

    async with Runner(Deadline(2.5)) as runner:
        await runner.run(await store().claim_due(Runnable(list(registry)), runner.lease_s, 10))
    statuses = [await job.status() for job in jobs]

    assert len(began) == 1
    assert sorted(status.state for status in statuses) == [State.PENDING, State.PENDING, State.SUCCESS]
    assert [status.retries for status in statuses] == [0, 0, 0]


async def test_thread_that_outlives_its_limit_does_not_delay_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TASK_CONCURRENCY=1 the next plain function starts while the thread of the first still sleeps."""
    configure(monkeypatch, TASK_CONCURRENCY="1")

    @task(name="reports.sleeps", max_retries=0, time_limit=0.2)
    def sleeps() -> None:
        time.sleep(4)

    @task(name="reports.quick", max_retries=0, time_limit=1)
    def quick() -> None:
        """Return at once."""

    slow, fast = await sleeps.delay(), await quick.delay()

    (failure,) = await failures([slow, fast])

    assert failure.type == "TimeLimitExceeded"
    assert await fast.state is State.SUCCESS
