"""One REST event in process: the peers in turn, many times, in one run."""

import gc
import json
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from decant import loop
from tests.benchmarks.progress import progress
from tests.benchmarks.web.peers import LAMBDA
from tests.loading import ROOT, Context

__all__ = ["ladder", "peers", "rest_event", "time_batch"]

BATCH = 50
"""Events before the next peer's turn: long enough to be warm, short enough for all to see the same load."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one event costs, µs."""

    p50: float
    best: float


def peers(rounds: int) -> dict[str, Timing]:
    """Time every peer."""
    loop.current()
    event = rest_event()
    return _alternate({name: partial(make(), event, Context()) for name, make in LAMBDA.items()}, rounds)


def ladder(rounds: int) -> dict[str, Timing]:
    """Time the parts of an event."""
    from tests.benchmarks.web.ladder import rungs  # an older version has no such parts

    return _alternate(rungs(rest_event()), rounds)


def _alternate(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Timing]:
    logging.disable(logging.INFO)  # Mangum logs a line for each event
    medians: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        time_batch(work)
    gc.collect()
    gc.freeze()
    for _ in progress(range(rounds), "events"):
        for name, work in works.items():
            medians[name].append(time_batch(work))
    gc.unfreeze()
    logging.disable(logging.NOTSET)
    return {name: Timing(p50=statistics.median(taken), best=min(taken)) for name, taken in medians.items()}


def time_batch(work: Callable[[], Any]) -> float:
    """Median of one batch, µs, after one that warms up."""
    taken = []
    for _ in range(BATCH + 1):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:]) * 1e6


def rest_event() -> dict[str, Any]:
    """API Gateway's sample, as a GET of / that is not below a stage: some peers have no stages."""
    event: dict[str, Any] = json.loads((ROOT / "tests/aws_events/rest.json").read_text())
    event |= {"path": "/", "resource": "/", "body": None}
    event["requestContext"] |= {"path": "/", "resourcePath": "/"}
    return event
