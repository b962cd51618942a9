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
    enqueue = {"": theirs.enqueue_rate(1000)}
    waiting = {pool: theirs.run_rate(pool, "wait", (WAIT_S,), 1000) for pool in POOLS}
    idle = {pool: theirs.run_rate(pool, "noop", (), 5000) for pool in POOLS}
    return {"wait": waiting, "nothing": idle, "enqueue": enqueue}


def measure_decant(ours: Decant) -> list[tuple[str, str, float]]:
    """What Decant does a second: in words, what of Celery's it is compared with, and the rate."""
    ours.run_rate("noop", (), 500, 100)
    measured = []
    for batch in (100, 1000):
        rate = ours.run_rate("wait", (WAIT_S,), 1000, batch)
        measured.append((f"1,000 tasks that wait 50 ms, {batch:,} a batch", "wait", rate))
    for batch in (100, 1000):
        rate = ours.run_rate("noop", (), 5000, batch)
        measured.append((f"5,000 tasks that do nothing, {batch:,} a batch", "nothing", rate))
    measured.append(("enqueue one by one, each on disk", "enqueue", ours.enqueue_rate(1000)))
    many = max(ours.enqueue_many_rate(1000) for _ in range(3))
    return [*measured, ("enqueue 1,000 at once, all on disk", "enqueue", many)]


def print_table(mine: list[tuple[str, str, float]], peers: dict[str, dict[str, float]]) -> None:
    """A line a measure."""
    table = Table("a second", "Decant", *(f"Celery {pool}" for pool in POOLS), "times best", "times prefork")
    for measure, peer, rate in mine:
        rates = peers[peer]
        shown = [f"{rates[pool]:,.0f}" if pool in rates else "" for pool in POOLS]
        if "" in rates:
            shown[0] = f"{rates['']:,.0f}"
        default = rates.get("prefork", rates.get("", 0.0))
        table.add_row(measure, f"{rate:,.0f}", *shown, f"{rate / max(rates.values()):.1f}", f"{rate / default:.1f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    raise SystemExit(main())
