"""What a claim costs as the table grows: from two databases in turn, so that both see the same machine and disk."""

import os
import time
from collections.abc import Sequence
from itertools import batched
from statistics import median
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from decant import db, loop, runtime
from decant.tasks import Task
from decant.tasks.sql import claim
from decant_cloud.local.postgres import Postgres
from tests.sample.database import migrate

__all__ = ["claim_times_ms"]

CLAIMS = 400
ROWS = 10

HISTORY = text("""
    INSERT INTO decant.task (id, name, queue, args, kwargs, state, attempt, eta, wake_at, date_done, result)
    SELECT uuidv7(at - now()), 'old', 'default', '[]', '{}', 'SUCCESS', 1, at, NULL, at, 'null'
    FROM generate_series(1, CAST(:rows AS integer)) AS n,
        LATERAL (SELECT now() - make_interval(secs => (CAST(:rows AS integer) - n) / 4.0) AS at) AS times
""")
"""Tasks that were done within the last days; their ids are of that time, as in production."""


def claim_times_ms(postgres: Postgres, what: Task[[], Any], sizes: Sequence[int]) -> list[float]:
    """Milliseconds that a claim of ten new rows takes, the median of many, beside so many old ones."""
    new = [_fill(postgres, what, size) for size in sizes]
    return loop.run(_claim_in_turn([postgres.url(_name(size)) for size in sizes], new, what.name))


def _name(size: int) -> str:
    return f"rows_{size}"


def _fill(postgres: Postgres, what: Task[[], Any], size: int) -> list[UUID]:
    loop.run(_outside_transactions(f"CREATE DATABASE {_name(size)}"))
    loop.run(loop.close())
    os.environ["DATABASE_URL"] = postgres.url(_name(size))
    runtime.current().reload()
    migrate()
    ids = loop.run(_write(what, size))
    loop.run(loop.close())
    return ids


async def _write(what: Task[[], Any], size: int) -> list[UUID]:
    async with db.session() as session:
        await session.execute(HISTORY, {"rows": size})
    jobs = await what.delay_many([()] * (CLAIMS * ROWS))
    await _outside_transactions("VACUUM (ANALYZE) decant.task")
    await _outside_transactions("CHECKPOINT")
    return [UUID(job.id) for job in jobs]


async def _outside_transactions(statement: str) -> None:
    async with db.engine().connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).exec_driver_sql(statement)


async def _claim_in_turn(urls: Sequence[str], ids: Sequence[Sequence[UUID]], name: str) -> list[float]:
    engines = [create_async_engine(url, isolation_level="AUTOCOMMIT") for url in urls]
    times: list[list[float]] = [[] for _ in urls]
    for batches in zip(*(batched(each, ROWS, strict=True) for each in ids), strict=True):
        for engine, batch, spent in zip(engines, batches, times, strict=True):
            async with engine.connect() as connection:
                started = time.perf_counter()
                claimed = await connection.execute(
                    text(claim.CLAIM), {"ids": list(batch), "names": [name], "lease_s": 60, "alone": False}
                )
                spent.append(1e3 * (time.perf_counter() - started))
                assert len(claimed.all()) == ROWS
    for engine in engines:
        await engine.dispose()
    return [median(each) for each in times]
