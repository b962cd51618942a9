"""Measure tasks against Celery with Redis, one after the other on one machine, and print the ratios."""

import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.tasks.ours import Decant, decant
from tests.benchmarks.tasks.peers import POOLS, Celery, celery

WAIT_S = 0.05


def main() -> int:
    """Print what was measured."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # PostgreSQL runs as another user when we are root
        with celery(folder) as theirs:
            peers = measure_celery(theirs)
        with decant(folder / "postgres") as ours:
            mine = measure_decant(ours)
    print_table(mine, peers)
    return 0


def measure_celery(theirs: Celery) -> dict[str, dict[str, float]]:
    """What Celery does a second, by measure and pool."""
    enqueue = theirs.enqueue_rate(1000)
    return {
        "1,000 tasks that wait 50 ms": {pool: theirs.run_rate(pool, "wait", (WAIT_S,), 1000) for pool in POOLS},
        "5,000 tasks that do nothing": {pool: theirs.run_rate(pool, "noop", (), 5000) for pool in POOLS},
        "enqueue one by one": {"": enqueue},
        "enqueue 1,000 at once": {"": enqueue},
    }


def measure_decant(ours: Decant) -> dict[str, float]:
    """What Decant does a second."""
    ours.run_rate("noop", (), 500)
    return {
        "1,000 tasks that wait 50 ms": ours.run_rate("wait", (WAIT_S,), 1000),
        "5,000 tasks that do nothing": ours.run_rate("noop", (), 5000),
        "enqueue one by one": ours.enqueue_rate(1000),
        "enqueue 1,000 at once": max(ours.enqueue_many_rate(1000) for _ in range(3)),
    }


def print_table(mine: dict[str, float], peers: dict[str, dict[str, float]]) -> None:
    """A line a measure."""
    table = Table("a second", "Decant", *(f"Celery {pool}" for pool in POOLS), "times best", "times prefork")
    for measure, rate in mine.items():
        rates = peers[measure]
        shown = [f"{rates[pool]:,.0f}" if pool in rates else "" for pool in POOLS]
        if "" in rates:
            shown[0] = f"{rates['']:,.0f}"
        default = rates.get("prefork", rates.get("", 0.0))
        table.add_row(measure, f"{rate:,.0f}", *shown, f"{rate / max(rates.values()):.1f}", f"{rate / default:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    raise SystemExit(main())
