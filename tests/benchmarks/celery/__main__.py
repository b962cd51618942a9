"""Measure synchronous tasks and callers of `decant.celery` beside Celery, in turn on one machine."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from decant import db, runtime
from decant_cloud.local.postgres import temporary_postgres
from tests.benchmarks.celery import jobs
from tests.benchmarks.progress import progress
from tests.benchmarks.results import Comparison, write
from tests.benchmarks.tasks.peers import Celery, celery
from tests.loading import load_function

WAIT_S = 0.05
COUNT = 1000
ROUNDS = 3
ENQUEUED, ENQUEUE_ROUNDS = 200, 11
ROOT = Path(__file__).resolve().parents[3]

type Row = tuple[str, float, float]

_SECONDS = text("""
    SELECT count(*) FILTER (WHERE state = 'SUCCESS') AS done,
        CAST(extract(epoch FROM max(date_done) - min(eta)) AS float8) AS seconds
    FROM decant.task WHERE name = :name
""")


def main() -> int:
    """Print the rates and their ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with temporary_postgres() as postgres, celery(folder) as peer:
            os.environ["DATABASE_URL"] = postgres.url()
            runtime.current().reload()
            load_function("migrate").handler({}, None)
            with _worker(folder):
                rows = _run_rates(peer)
            rows += _enqueue_rates(peer)
            _print(rows)
            pairs = [(name, {"decant.celery": own, "Celery": peer}) for name, own, peer in rows]
            write("celery", [Comparison(name, "per second", values) for name, values in pairs], ["celery", "redis"])
            runtime.current().shut_down()
    return 0


def _run_rates(peer: Celery) -> list[Row]:
    """Medians of several rounds in turn."""
    rounds = [
        (peer.run_rate("threads", "wait", (WAIT_S,), COUNT), _run_rate(jobs.wait), _run_rate(jobs.wait_async))
        for _ in progress(range(ROUNDS), "tasks that wait")
    ]
    rate, wait, wait_async = (median(rates) for rates in zip(*rounds, strict=True))
    return [
        ("run 1,000 time.sleep(0.05); Celery's threads pool", wait, rate),
        ("run 1,000 asyncio.sleep(0.05); the same", wait_async, rate),
    ]


def _enqueue_rates(peer: Celery) -> list[Row]:
    """Medians of many short rounds in turn, without workers: the fastest of few rounds depends on the disk's load."""
    with peer.on_disk():
        on_disk = _enqueue_rounds(peer, "enqueue, Redis on disk")
    in_memory = _enqueue_rounds(peer, "enqueue, Redis in memory")
    measured = {"persists to disk": on_disk, "is in memory": in_memory}
    return [
        (f"enqueue one by one; Redis {kept}", median(own for own, _ in pairs), median(peer for _, peer in pairs))
        for kept, pairs in measured.items()
    ]


def _enqueue_rounds(peer: Celery, what: str) -> list[tuple[float, float]]:
    return [(_enqueue_rate(), peer.enqueue_rate(ENQUEUED)) for _ in progress(range(ENQUEUE_ROUNDS), what)]


def _print(rows: list[Row]) -> None:
    table = Table("a second", "decant.celery", "Celery", "ratio")
    for name, own, peer in rows:
        table.add_row(name, f"{own:,.0f}", f"{peer:,.0f}", f"{own / peer:.2f}")
    Console(width=120).print(table)


def _run_rate(task: Any) -> float:
    """Tasks that the worker runs a second, from the time at which all are due to the last result."""
    runtime.current().run(db.execute(text("DELETE FROM decant.task"), {}))
    due = datetime.now(UTC) + timedelta(seconds=5)
    jobs.app.group(task.s(WAIT_S).set(eta=due) for _ in range(COUNT)).apply_async()
    while True:
        (row,) = runtime.current().run(db.execute(_SECONDS, {"name": task.name}))
        if row["done"] == COUNT:
            return COUNT / float(row["seconds"])
        time.sleep(0.2)


def _enqueue_rate() -> float:
    """Tasks that synchronous code enqueues a second, one by one."""
    jobs.noop.apply_async(countdown=3600)
    started = time.perf_counter()
    for _ in range(ENQUEUED):
        jobs.noop.apply_async(countdown=3600)
    return ENQUEUED / (time.perf_counter() - started)


@contextmanager
def _worker(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "decant", "worker", "-A", "tests.benchmarks.celery.jobs", "--loglevel", "INFO"]
    log = folder / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        try:
            while "Worker ready" not in log.read_text():
                time.sleep(0.1)
            yield
        finally:
            worker.terminate()
            worker.wait(30)


if __name__ == "__main__":
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    raise SystemExit(main())
