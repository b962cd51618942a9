"""Measure durable workflows of ten steps that do nothing against DBOS and Absurd, in turn on one PostgreSQL.

`python -m tests.benchmarks.workflows [--rounds 3] [--workflows 200]`. The figures of Decant and Absurd include
the claim of a workflow and its end; those of DBOS include its start too, which cannot be separated from the first step.
The medians of the rounds are compared.
"""

import argparse
from collections.abc import Callable
from importlib.metadata import version
from statistics import median

from rich.console import Console
from rich.table import Table

from decant_cloud.local.postgres import temporary_postgres
from tests.benchmarks.progress import progress
from tests.benchmarks.results import Comparison, write
from tests.benchmarks.workflows.own import Decant
from tests.benchmarks.workflows.peers import Absurd, Dbos
from tests.benchmarks.workflows.system import STEPS, Measured, System

MEASURES: dict[str, Callable[[System, int], Measured | None]] = {
    "20 in flight": lambda system, count: system.run(count, 20),
    "100 in flight": lambda system, count: system.run(count, 100),
    "in the user's transaction, 20 in flight": lambda system, count: system.run_in_transactions(count // 4, 20),
}


def add_rows(table: Table, measure: str, found: dict[str, list[Measured | None]]) -> None:
    """Add the medians of a measure, and the ratios to the first system."""
    own = 0.0
    for name, measured in found.items():
        rates = [each.rate for each in measured if each is not None]
        own_us = [each.own_us for each in measured if each is not None]
        if rates:
            rate = median(rates)
            own = own or rate
            all_rates = " · ".join(f"{each:,.0f}" for each in rates)
            table.add_row(measure, name, all_rates, f"{rate:,.0f}", f"{own / rate:.1f}", f"{median(own_us):,.0f}")


def median_rate(measured: list[Measured | None]) -> float | None:
    """The median of the rates of a system; None when it has none."""
    rates = [each.rate for each in measured if each is not None]
    return median(rates) if rates else None


def main() -> None:
    """Measure, and print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, in each of which every system is measured")
    parser.add_argument("--workflows", type=int, default=200, help="workflows of a measure")
    given = parser.parse_args()
    console = Console(width=140)
    names = {"decant": "this version", "DBOS": version("dbos"), "Absurd": version("absurd-sdk")}
    with temporary_postgres() as server:
        console.print(", ".join(f"{name} {number}" for name, number in names.items()))
        own = Decant(server)
        systems: dict[str, System] = {"decant": own, "DBOS": Dbos(server), "Absurd": Absurd(server)}
        table = Table("measure", "system", "steps/s of each round", "median", "decant to it", "CPU µs per step")
        comparisons = []
        for measure, run in MEASURES.items():
            rounds = [
                {name: run(system, given.workflows) for name, system in systems.items()}
                for _ in progress(range(given.rounds), f"steps, {measure}")
            ]
            found = {name: [each[name] for each in rounds] for name in systems}
            add_rows(table, measure, found)
            medians = {name: rate for name, measured in found.items() if (rate := median_rate(measured))}
            comparisons.append(Comparison(f"steps, {measure}", "per second", medians))
        console.print(table)
        for measure, found_there in own.extras().items():
            console.print(f"{measure}: {found_there}")
        for system in systems.values():
            system.close()
    write("workflows", comparisons, ["dbos", "absurd-sdk", "sqlalchemy", "asyncpg"])
    console.print(f"workflows of {STEPS} steps; CPU is that of the process, without PostgreSQL's")


if __name__ == "__main__":
    main()
