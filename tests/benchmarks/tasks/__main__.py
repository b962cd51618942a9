"""Measure tasks against Celery with Redis, in turn on one machine, and print the ratios.

With `--profile`, print the functions that use the processor time of each measure instead. With `--base`, compare with
another working tree of this repository instead.
"""

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.progress import progress
from tests.benchmarks.results import Comparison, write
from tests.benchmarks.tasks.own import Decant, Measured, decant
from tests.benchmarks.tasks.peers import POOLS, Celery, celery
from tests.benchmarks.tasks.versions import compare

WAIT_S = 0.05
FEW, MANY = 1_000, 1_000_000

type Peers = dict[str, dict[str, float]]

MEASURES: dict[str, tuple[str, Callable[[Decant], Measured]]] = {
    "1,000 tasks that wait 50 ms, 100 a batch": ("wait", lambda own: own.run("wait", (WAIT_S,), 1000, 100)),
    "1,000 tasks that wait 50 ms, 1,000 a batch": ("wait", lambda own: own.run("wait", (WAIT_S,), 1000, 1000)),
    "1,000 tasks that do nothing, 10 a batch": ("nothing", lambda own: own.run("noop", (), 1000, 10)),
    "5,000 tasks that do nothing, 100 a batch": ("nothing", lambda own: own.run("noop", (), 5000, 100)),
    "5,000 tasks that do nothing, 1,000 a batch": ("nothing", lambda own: own.run("noop", (), 5000, 1000)),
    "enqueue one by one, each on disk": ("enqueue", lambda own: own.enqueue(1000)),
    "enqueue 1,000 at once, all on disk": ("enqueue", lambda own: own.enqueue_many(1000)),
}
"""In words, what of Celery's it is compared with, and how it is made."""

ON_DISK = "enqueue on disk"


def main(arguments: list[str]) -> int:
    """Print the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.tasks")
    parser.add_argument("--profile", action="store_true", help="print the functions that use processor time")
    parser.add_argument("--base", type=Path, help="another working tree to compare with")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the comparison")
    options = parser.parse_args(arguments)
    if options.base is not None:
        compare(options.base.resolve(), options.rounds)
        return 0
    with decant() as own:
        if options.profile:
            print_profiles(own)
            return 0
        with tempfile.TemporaryDirectory() as folder, celery(Path(folder)) as peer:
            measured = measure(own, peer)
        print_table(*measured)
        write("tasks", comparisons(*measured), ["celery", "redis", "sqlalchemy", "asyncpg"])
        print_claims(*own.claim_times_ms(FEW, MANY))
    return 0


def measure(own: Decant, peer: Celery) -> tuple[dict[str, Measured], Peers]:
    """The best of three rounds of each, in turn, so that both see the same machine."""
    mine, peers = list[dict[str, Measured]](), list[Peers]()
    for measure_peer in progress((measure_celery, measure_enqueue, measure_enqueue), "tasks of Decant and Celery"):
        mine.append({name: run(own) for name, (_, run) in MEASURES.items()})
        peers.append(measure_peer(peer))
    return (
        {name: max((each[name] for each in mine), key=_rate) for name in MEASURES},
        peers[0] | {name: {"": max(each[name][""] for each in peers)} for name in peers[1]},
    )


def measure_celery(peer: Celery) -> Peers:
    """What Celery does a second, by measure and pool."""
    waiting = {pool: peer.run_rate(pool, "wait", (WAIT_S,), 500) for pool in progress(POOLS, "pools, waiting tasks")}
    idle = {pool: peer.run_rate(pool, "noop", (), 1000) for pool in progress(POOLS, "pools, tasks that do nothing")}
    return {"wait": waiting, "nothing": idle, **measure_enqueue(peer)}


def measure_enqueue(peer: Celery) -> Peers:
    """What it enqueues a second, without a worker."""
    in_memory = peer.enqueue_rate(1000)
    with peer.on_disk():
        return {"enqueue": {"": in_memory}, ON_DISK: {"": peer.enqueue_rate(1000)}}


def print_table(mine: dict[str, Measured], peers: Peers) -> None:
    """A line a measure."""
    pools = [f"Celery {pool}" for pool in POOLS]
    table = Table("a second", "Decant", "its own µs a task", *pools, "times best", "times prefork")
    for measure, measured in mine.items():
        peer = MEASURES[measure][0]
        add_row(table, measure, measured, peers[peer])
        if peer == "enqueue":
            add_row(table, "  beside Redis with appendfsync always", measured, peers[ON_DISK])
    Console(width=150).print(table)


def comparisons(mine: dict[str, Measured], peers: Peers) -> list[Comparison]:
    """The rates beside those of each pool of Celery."""
    return [
        Comparison(
            name,
            "per second",
            {"Decant": measured.rate}
            | {f"Celery {pool}".strip(): rate for pool, rate in peers[MEASURES[name][0]].items()},
        )
        for name, measured in mine.items()
    ]


def add_row(table: Table, name: str, measured: Measured, rates: dict[str, float]) -> None:
    """A measure beside each pool of Celery's, or beside the one figure that no pool has a part in."""
    shown = [f"{rates[pool]:,.0f}" if pool in rates else "" for pool in POOLS]
    if "" in rates:
        shown[0] = f"{rates['']:,.0f}"
    default = rates.get("prefork", rates.get("", 0.0))
    ratios = [f"{measured.rate / rate:.1f}" for rate in (max(rates.values()), default)]
    table.add_row(name, f"{measured.rate:,.0f}", f"{measured.own_us:.0f}", *shown, *ratios)


def print_claims(few_ms: float, many_ms: float) -> None:
    """What a claim costs as the table grows."""
    Console(width=150).print(
        f"claim of 10 new rows: {few_ms:.2f} ms beside {FEW:,} others, {many_ms:.2f} ms beside {MANY:,}: "
        f"{many_ms / few_ms:.2f} times"
    )


def print_profiles(own: Decant) -> None:
    """Where processor time goes, measure by measure; profiling makes each several times as slow."""
    for measure, (_, run) in MEASURES.items():
        print(f"\n{measure}")
        with cProfile.Profile() as profile:
            run(own)
        pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(20)


def _rate(measured: Measured) -> float:
    return measured.rate


if __name__ == "__main__":
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    raise SystemExit(main(sys.argv[1:]))
