"""Time spent waiting for a free connection is not running time, and a busy pool is not an unreachable database.

Reports: sqlalchemy/sqlalchemy 5308, langgenius/dify 30536.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import db, runtime
from decant.tasks import AsyncResult, State, task
from decant.worker import run_forever
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


@pytest.mark.xfail(strict=True, reason="the time limits start before the task has a connection")
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


@pytest.mark.xfail(strict=True, reason="waiting longer than the connect timeout for a busy pool counts as unreachable")
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
