"""Measure the bridge against its peers or an older version, print tables of the ratios, and write everything as JSON.

The peers take turns for several rounds, so that load on the machine affects all of them. Medians are shown.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.progress import progress
from tests.benchmarks.results import Comparison, write
from tests.benchmarks.web import event, load, serving, versions
from tests.benchmarks.web.peers import SERVED

PACKAGES = [
    "flask",
    "quart",
    "starlette",
    "fastapi",
    "asgiref",
    "a2wsgi",
    "apig-wsgi",
    "mangum",
    "hypercorn",
    "uvicorn",
]
PARTS = {"Powertools (sync)", "Flask's dispatch (sync)", "Mangum alone"}
"""What is measured for comparison and does less than the peers."""
MEGABYTES = 100
IN_FLIGHT = 2_000
LADDER = "what one event costs, part by part, p50, µs"
WAIT_S = 0.1

type Results = dict[str, dict[str, float]]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each peer behind a server (%(default)s)")
    parser.add_argument("--events", type=int, default=30, help="turns of each peer in Lambda's place (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1, help="length of a turn (%(default)s)")
    parser.add_argument("--only", choices=["event", *serving.SERVERS], help="leave out the rest")
    parser.add_argument("--base", type=Path, help="working tree of an older version to compare with, in place of peers")
    arguments = parser.parse_args()
    os.environ["STAGE"] = "prod"  # the stage local compares responses with the views' annotations
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    measured: dict[str, Results] = {}
    if arguments.base and arguments.only in {None, "event"}:
        measured |= versions.compare(arguments.base, arguments.events)
    elif arguments.only in {None, "event"}:
        timings = event.peers(arguments.events)
        measured["one REST event, async view, p50, µs"] = {name: asdict(timing) for name, timing in timings.items()}
        timings = event.ladder(arguments.events)
        measured[LADDER] = {name: asdict(timing) for name, timing in timings.items()}
    for server in serving.SERVERS:
        if arguments.only in {None, server}:
            measured |= under(server, arguments.rounds, arguments.seconds, arguments.base)
    for title, results in measured.items():
        (show_ladder if title == LADDER else show)(title, results)
    if not arguments.base:
        Console().print(f"Written to {write('web', comparisons(measured), PACKAGES)}")


def under(server: str, rounds: int, seconds: float, base: Path | None) -> dict[str, Results]:
    """Everything that is measured behind one server, the peers or the two versions by turns."""
    items = json.dumps([{"number": number, "text": "x" * 30} for number in range(16_000)]).encode()
    wait = load.request("GET", f"/wait?seconds={WAIT_S}")
    measures = {
        f"{server}: 200 clients that wait 100 ms, responses/s": per_s(wait, 200, seconds),
        f"{server}: JSON POST of {len(items) / 1e6:.1f} MB, responses/s": per_s(
            load.request("POST", "/json", items), 4, seconds
        ),
        f"{server}: streamed download of {MEGABYTES} MB, MB/s": _megabytes_per_s,
    }
    if base is not None:
        sync_wait = load.request("GET", f"/sync-wait?seconds={WAIT_S}")
        measures[f"{server}: 200 clients of a sync view that takes 100 ms, responses/s"] = per_s(
            sync_wait, 200, seconds
        )
        return by_turns([serving.start(server, "decant"), serving.start(server, "decant", base)], measures, rounds)
    return by_turns([serving.start(server, peer) for peer in SERVED], measures, rounds) | {
        f"{server}: {IN_FLIGHT:,} requests in flight, KiB each": alone(server, _in_flight),
        f"{server}: 1 GB streamed to a slow client, MiB held": alone(server, _slow_client),
    }


SLOW_S = 3
"""A turn that takes longer is not repeated: those of Flask under an asynchronous server would take half of the time."""

type Measure = Callable[[serving.Served], float]


def by_turns(running: list[serving.Served], measures: dict[str, Measure], rounds: int) -> dict[str, Results]:
    """Take every measure of every server in turn, and stop the servers. A server that takes long has a single turn."""
    try:
        found: dict[str, Results] = {}
        for title, measure in measures.items():
            turns: dict[str, list[float]] = {each.peer: [] for each in running}
            slow = set[str]()
            for each in progress(running * rounds, title):
                if each.peer not in slow:
                    started = time.monotonic()
                    turns[each.peer].append(measure(each))
                    slow |= {each.peer} if time.monotonic() - started > SLOW_S else set()
            found[title] = {peer: {"p50": statistics.median(taken)} for peer, taken in turns.items()}
    finally:
        for each in running:
            each.stop()
    return found


def per_s(message: bytes, clients: int, seconds: float) -> Measure:
    """Responses per second to one request that several clients repeat."""
    return lambda served: asyncio.run(load.run(served.port, message, clients=clients, lasting_s=seconds)).per_s


def _megabytes_per_s(served: serving.Served) -> float:
    received, lasted_s = asyncio.run(load.download(served.port, f"/download?megabytes={MEGABYTES}"))
    return received / 2**20 / lasted_s


def alone(server: str, measure: Callable[[serving.Served], Coroutine[Any, Any, dict[str, float]]]) -> Results:
    """Measure the memory of each peer that can wait at all, in a process that has done nothing else."""
    found: Results = {}
    for peer in ("decant", "Quart", "Starlette", "FastAPI"):
        served = serving.start(server, peer)
        try:
            found[peer] = asyncio.run(measure(served))
        finally:
            served.stop()
    return found


async def _in_flight(served: serving.Served) -> dict[str, float]:
    """How many of so many requests at once are answered, and what each holds while it waits."""
    await load.run(served.port, load.request("GET", "/wait?seconds=0"), clients=20, lasting_s=0)
    before = served.memory_bytes()
    message = load.request("GET", "/wait?seconds=8")
    running = asyncio.create_task(load.run(served.port, message, clients=IN_FLIGHT, lasting_s=0, patience_s=30))
    await asyncio.sleep(7)
    during = served.memory_bytes()
    result = await running
    return {"p50": (during - before) / IN_FLIGHT / 1024, "answered": result.answered}


async def _slow_client(served: serving.Served) -> dict[str, float]:
    """What the process holds more, at the most, while a gigabyte goes to a client that rests in between."""
    await load.download(served.port, "/download?megabytes=1")
    before = most = served.memory_bytes()
    reading = asyncio.create_task(load.download(served.port, "/download?megabytes=1024", pause_s=0.001))
    while not reading.done():
        await asyncio.sleep(0.05)
        most = max(most, served.memory_bytes())
    received, _ = await reading
    return {"p50": (most - before) / 2**20, "received_megabytes": received // 2**20}


def show(title: str, results: Results) -> None:
    """Print one measure's table, with the ratio of Decant to every peer."""
    table = Table("peer", "p50", "decant ÷ peer", "", title=title, title_justify="left")
    own = results["decant"]["p50"]
    for peer, result in results.items():
        more = ", ".join(f"{name} {value:,.1f}" for name, value in result.items() if name != "p50")
        ratio = f"{own / result['p50']:.2f}" if result["p50"] else ""
        table.add_row(peer, f"{result['p50']:,.1f}", ratio, more)
    Console().print(table)


def show_ladder(title: str, results: Results) -> None:
    """Print what each part adds to those before it."""
    table = Table("part", "adds", "so far", title=title, title_justify="left")
    before = 0.0
    for part, result in results.items():
        table.add_row(part, f"{result['p50'] - before:,.1f}", f"{result['p50']:,.1f}")
        before = result["p50"]
    Console().print(table)


def comparisons(measured: dict[str, Results]) -> list[Comparison]:
    """The medians of each measure by peer; memory and times are better when they are small."""
    found = []
    for title, results in measured.items():
        what, _, unit = title.rpartition(", ")
        if title != LADDER:
            values = {name: result["p50"] for name, result in results.items() if name not in PARTS}
            found.append(Comparison(what, unit, values, more_is_better=unit.endswith("/s")))
    return found


if __name__ == "__main__":
    main()
