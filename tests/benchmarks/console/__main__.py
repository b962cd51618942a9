"""Measure the JSON routes of the console on a million finished and a hundred thousand waiting tasks.

Each request passes through the Lambda handler. Percentiles are those of the requests to a route.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from decant import db, loop
from decant.console.app import console_app
from decant.console.shared import shared_results
from decant.runtime import Runtime
from decant.tasks.store import store
from decant.web import lambda_handler
from decant_cloud.bundle import bundle
from decant_cloud.local import tokens
from decant_cloud.local.postgres import Postgres, temporary_postgres
from tests.benchmarks.console.consoles import CONSOLES, throughput_share
from tests.benchmarks.progress import progress
from tests.loading import Context, rest_request
from tests.sample.database import migrate

ID = """
    CAST(
        lpad(to_hex(CAST(extract(epoch FROM at) * 1000 AS bigint)), 12, '0')
            || '7000a' || lpad(to_hex(n), 15, '0')
        AS uuid
    )
"""

FILL = f"""
    INSERT INTO decant.task (
        id, name, queue, args, kwargs, state, attempt, eta, wake_at, date_created, date_started, date_done, result,
        error_type, error
    )
    SELECT {ID}, 'shop.task_' || n % 20, 'queue' || n % 3, '[1, 2]', '{{"order": 7}}', state, 1, at,
        CASE state WHEN 'PENDING' THEN at END, at,
        CASE WHEN state <> 'PENDING' THEN at + interval '50 ms' END,
        CASE WHEN state <> 'PENDING' THEN at + interval '1 s' END,
        CASE state WHEN 'SUCCESS' THEN CAST('"done"' AS json) END,
        CASE state WHEN 'FAILURE' THEN 'TimeoutError' END, CASE state WHEN 'FAILURE' THEN 'no response' END
    FROM (
        SELECT n, now() - make_interval(secs => 604000 * (1 - CAST(n AS float8) / :count)) AS at,
            CASE WHEN n % 11 = 0 THEN 'PENDING' WHEN n % 100 = 1 THEN 'FAILURE' ELSE 'SUCCESS' END AS state
        FROM generate_series(1, CAST(:count AS integer)) AS n
    ) AS rows
"""  # noqa: S608  # our own constants

ROUTES = (
    "overview",
    "statistics?window=15m",
    "statistics?window=24h",
    "statistics?window=7d",
    "tasks",
    "tasks?state=open",
    "tasks?state=FAILURE",
    "tasks?name=shop.task_7&queue=queue1",
    "tasks?error=no%20such%20error",
    "tasks/count?state=open",
    "tasks/{id}",
    "workflows",
    "schedules",
)


def main() -> None:
    """Fill a database, and print the percentiles of each route."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_100_000, help="number of tasks")
    parser.add_argument("--requests", type=int, default=100, help="requests to each route")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="decant-bench-") as folder:
        state = Path(folder)
        with temporary_postgres() as postgres, Runtime(_environment(postgres, state)).active() as own:
            migrate()
            (task_id,) = [loop.run(_fill(count)) for count in progress([given.count], "fill the database")]
            token = tokens.mint(state, "tasks:read")
            handler = lambda_handler(console_app(read="tasks:read", admin="tasks:admin"))
            routes = progress(ROUTES, "routes of the console")
            _print({route: _measure(handler, route.format(id=task_id), token, given.requests) for route in routes})
            alone, beside, share = loop.run(throughput_share(token, _environment(postgres, state)))
            figures = f"{alone:.0f} tasks/s alone, {beside:.0f} beside {CONSOLES} open consoles"
            Console().print(f"\n{figures}: {100 * (share - 1):+.1f} % (at least -3)")
            own.shut_down()


def _environment(postgres: Postgres, state: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": postgres.url(),
        "DATABASE_STATEMENT_TIMEOUT_S": "600",
        "TASK_CONCURRENCY": "20",
        "LOG_LEVEL": "ERROR",
        "JWT_ISSUER": tokens.ISSUER,
        "JWT_AUDIENCE": bundle().name,
        "JWT_PUBLIC_PEM": tokens.public_key(state),
    }


async def _fill(count: int) -> str:
    async with db.session() as session:
        await session.execute(text(FILL), {"count": count})
        await session.execute(text("ANALYZE decant.task"))
        task_id = (await session.execute(text("SELECT id FROM decant.task LIMIT 1"))).scalar_one()
    while await store().summarize():
        pass
    return str(task_id)


def _measure(handler: Callable[..., Any], route: str, token: str, requests: int) -> list[float]:
    """Seconds of each request; the first three warm up."""
    path, _, query = route.partition("?")
    event = rest_request(f"/console/api/{path}", Authorization=f"Bearer {token}")
    event |= {"multiValueQueryStringParameters": parse_qs(query) or None}
    seconds = []
    for _ in range(requests + 3):
        shared_results().forget()
        started = time.perf_counter()
        response = handler(event, Context())
        seconds.append(time.perf_counter() - started)
        assert response["statusCode"] == 200, json.dumps(response)[:500]
    return seconds[3:]


def _print(measured: Mapping[str, list[float]]) -> None:
    table = Table("route", "p50, ms", "p95, ms", box=None)
    for route, seconds in measured.items():
        cuts = statistics.quantiles(seconds, n=20)
        table.add_row(route, f"{statistics.median(seconds) * 1000:.1f}", f"{cuts[18] * 1000:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
