"""Measure tasks against other task queues on PostgreSQL, in turn on one machine, and print medians and ratios."""

import argparse
import json
import os
import subprocess
import sys
from importlib.metadata import version
from statistics import median
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from decant_cloud.local.postgres import Postgres, temporary_postgres
from tests.benchmarks.progress import progress
from tests.benchmarks.queues.systems import SYSTEMS
from tests.benchmarks.results import Comparison, write

MEASURES = {
    "5,000": "no-op tasks per second, 5,000 queued",
    "30,000": "no-op tasks per second, 30,000 queued",
    "held": "the same while a transaction is held open",
    "one by one": "enqueued one by one, per second",
    "bulk": "10,000 enqueued together, rows per second",
    "wal": "write-ahead log of an enqueue / of a run, bytes",
    "latency": "from the call to the run in another process, p50 / p99 ms",
}
_OF_CALLER = {"one by one", "bulk", "wal", "latency"}
_LEFT_OUT = {
    "Decant, 1,000 at once": _OF_CALLER,  # the same at any concurrency
    "pgqueuer, no limit": _OF_CALLER,
    "Decant, limited": {"latency"},
    "procrastinate": {"5,000", "30,000", "held", "wal"},  # too slow for a run of five minutes
    "oban": {"held"},
    "awa": {"30,000", "held"},
}
_TIMEOUT_S = 120


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.queues", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=MEASURES, action="append", help="a measure; may be repeated")
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=list(SYSTEMS))
    given = parser.parse_args()
    results: dict[tuple[str, str], list[Any]] = {}
    console = Console(width=150)
    with temporary_postgres() as postgres:
        turns = [
            (number, measure, system)
            for number in range(given.rounds)
            for measure in given.only or MEASURES
            for system in given.systems
            if measure not in _LEFT_OUT.get(system, ())
        ]
        for number, measure, system in progress(turns, "measures of the systems"):
            results.setdefault((measure, system), []).append(_measure(postgres, system, measure, number))
    console.print(_table(results, given.systems))
    names = sorted({SYSTEMS[system]("").name for system in given.systems} - {"decant-flask"})
    console.print(", ".join(f"{name} {version(name)}" for name in names), f"; medians of {given.rounds} rounds", sep="")
    write("queues", _comparisons(results, given.systems), names)


def _measure(postgres: Postgres, system: str, measure: str, number: int) -> Any:
    name = f"bench_{abs(hash((system, measure, number)))}"
    with psycopg.connect(_url(postgres), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        connection.execute("CHECKPOINT")
        command = [sys.executable, "-m", "tests.benchmarks.queues.side", system, _url(postgres, name), measure]
        output = subprocess.run(command, stdout=subprocess.PIPE, env=os.environ, check=True, timeout=_TIMEOUT_S).stdout
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    return json.loads(output)


def _url(postgres: Postgres, *database: str) -> str:
    return postgres.url(*database).replace("+asyncpg", "")


def _table(results: dict[tuple[str, str], list[Any]], systems: list[str]) -> Table:
    table = Table("measure", *systems)
    for measure, title in MEASURES.items():
        cells = [_cell(results.get((measure, system), [])) for system in systems]
        if any(cell != "-" for cell in cells):
            table.add_row(title, *cells)
    return table


def _comparisons(results: dict[tuple[str, str], list[Any]], systems: list[str]) -> list[Comparison]:
    comparisons = []
    for measure, title in MEASURES.items():
        found = {system: values for system in systems if (values := results.get((measure, system)))}
        if measure == "latency":
            for part, name in enumerate(("p50", "p99")):
                medians = {system: median(value[part] for value in values) for system, values in found.items()}
                what = f"from the call to the run in another process, {name}"
                comparisons.append(Comparison(what, "ms", medians, more_is_better=False))
        elif found:
            medians = {system: median(values) for system, values in found.items()}
            comparisons.append(Comparison(title, "per second", medians))
    return comparisons


def _cell(values: list[Any]) -> str:
    if not values:
        return "-"
    if isinstance(values[0], list):
        return " / ".join(f"{median(value[part] for value in values):.1f}" for part in (0, 1))
    return f"{median(values):,.0f}"


if __name__ == "__main__":
    main()
