"""Task throughput beside open consoles: a worker of this process, and the console's functions in another one."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from sqlalchemy import text

from decant import db
from decant.console.app import console_app
from decant.tasks import task
from decant.web import lambda_handler
from decant.worker import run_forever
from tests.loading import Context, rest_request

__all__ = ["CONSOLES", "throughput_share"]

CONSOLES = 20
EVERY_S = 3.0  # as the page polls
TASKS = 3000
ROUNDS = 3
QUEUE = "bench"


@task(queue=QUEUE)
async def wait() -> None:
    """A task that waits 50 ms, for another service for example."""
    await asyncio.sleep(0.05)


async def throughput_share(token: str, environment: dict[str, str]) -> tuple[float, float, float]:
    """Tasks a second without and with open consoles, and the share that is left, medians of pairs of runs."""
    pairs = []
    await _rate()  # connects, and lets PostgreSQL cache its plans
    for _ in range(ROUNDS):
        without = await _rate()
        with _open_consoles(token, environment):
            pairs.append((without, await _rate()))
    shares = [beside / alone for alone, beside in pairs]
    alone, beside = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return alone, beside, statistics.median(shares)


async def _rate() -> float:
    await wait.delay_many([()] * TASKS)
    worker = asyncio.create_task(run_forever(queues=[QUEUE]))
    left = text("SELECT count(*) FROM decant.task WHERE queue = :queue AND date_done IS NULL")
    try:
        while (await db.execute(left, {"queue": QUEUE}))[0]["count"]:  # noqa: ASYNC110  # a row has no event
            await asyncio.sleep(0.2)
    finally:
        worker.cancel()
        await asyncio.wait({worker})
    ran = text("""
        SELECT count(*) / extract(epoch FROM max(date_done) - min(date_started)) AS rate FROM decant.task
        WHERE queue = :queue
    """)
    rate = float((await db.execute(ran, {"queue": QUEUE}))[0]["rate"])
    await db.execute(text("DELETE FROM decant.task WHERE queue = :queue"), {"queue": QUEUE})
    return rate


@contextmanager
def _open_consoles(token: str, environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", __name__, token]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # every route has been requested once
            yield
        finally:
            process.terminate()


def main(token: str) -> None:
    """Poll as so many open pages do, until this process is ended."""
    handler = lambda_handler(console_app(read="tasks:read", admin="tasks:admin"))
    events = []
    for route in ("overview", "statistics?window=15m"):
        path, _, query = route.partition("?")
        event = rest_request(f"/console/api/{path}", Authorization=f"Bearer {token}")
        events.append(event | {"multiValueQueryStringParameters": parse_qs(query) or None})
    for event in events:
        assert handler(event, Context())["statusCode"] == 200
    print("ready", flush=True)
    next_at = time.monotonic()
    while True:
        for event in events:
            handler(event, Context())
        next_at += EVERY_S / CONSOLES
        time.sleep(max(0.0, next_at - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1])
