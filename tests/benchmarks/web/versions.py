"""Two versions of the library, each in a process of its own, in turn: `make bench-web BASE=<working tree>`.

A child process, `python -m tests.benchmarks.web.versions`, reads names of measures and prints medians in µs.
"""

import gc
import logging
import os
import statistics
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.progress import progress
from tests.benchmarks.web.event import rest_event, time_batch
from tests.benchmarks.web.peers import flask_app, sync_flask_app
from tests.loading import ROOT, Context

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MEASURES", "compare"]

MEASURES = ("async view", "sync view", "Quart + Mangum")
"""What a child can time; the last is the same in both versions, and shows how alike the processes are."""


def compare(base: Path, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Medians of one REST event in µs, by measure and version."""
    trees = {"decant": ROOT, "base": base}
    children = {version: _start(tree) for version, tree in trees.items()}
    try:
        timings: dict[str, dict[str, list[float]]] = {name: {version: [] for version in trees} for name in MEASURES}
        for _ in progress(range(rounds), "events of two versions"):
            for name, versions in timings.items():
                for version, child in children.items():
                    versions[version].append(_ask(child, name))
    finally:
        for child in children.values():
            child.kill()
            child.wait()
    return {
        f"one REST event, {name}, p50, µs": {
            version: {"p50": statistics.median(taken), "best": min(taken)} for version, taken in versions.items()
        }
        for name, versions in timings.items()
    }


def _start(tree: Path) -> "subprocess.Popen[str]":
    paths = os.pathsep.join(map(str, (ROOT, tree / "shared", ROOT / "infra")))
    environment = {**os.environ, "PYTHONPATH": paths, "LOG_LEVEL": "WARNING", "STAGE": "prod"}
    command = [sys.executable, "-m", "tests.benchmarks.web.versions"]
    return subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _ask(child: "subprocess.Popen[str]", name: str) -> float:
    assert child.stdin is not None  # opened above
    assert child.stdout is not None
    child.stdin.write(f"{name}\n")
    child.stdin.flush()
    return float(child.stdout.readline())


def main() -> None:
    """Time what is asked for; in a child."""
    lambda_handler = import_module("decant.web").lambda_handler
    quart = import_module("tests.benchmarks.web.peers").LAMBDA["Quart + Mangum"]
    makers = (lambda: lambda_handler(flask_app()), lambda: lambda_handler(sync_flask_app()), quart)
    event, context = rest_event(), Context()
    works: dict[str, Callable[[], Any]] = {
        name: partial(make(), event, context) for name, make in zip(MEASURES, makers, strict=True)
    }
    logging.disable(logging.INFO)  # Mangum logs a line for each event
    for work in works.values():
        time_batch(work)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        print(time_batch(works[line.strip()]), flush=True)


if __name__ == "__main__":
    main()
