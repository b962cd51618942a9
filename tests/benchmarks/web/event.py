"""One REST event in process: each peer in turn, many times, in one run."""

import asyncio
import gc
import json
import logging
import statistics
import time
from dataclasses import dataclass
from typing import Any

from decant import loop
from tests.benchmarks.web.peers import LAMBDA, Handler
from tests.loading import ROOT, Context

__all__ = ["measure"]

BATCH = 50
"""Events one after another before the next peer's turn: long enough to be warm, short enough to share the weather."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one event costs, µs."""

    p50: float
    best: float


def measure(rounds: int) -> dict[str, Timing]:
    """Time every peer."""
    logging.disable(logging.INFO)  # Mangum logs a line for each event, at a level that Lambda drops by default
    asyncio.set_event_loop(loop.current())
    event = _event()
    handlers = {name: make() for name, make in LAMBDA.items()}
    medians: dict[str, list[float]] = {name: [] for name in handlers}
    for handler in handlers.values():
        _batch(handler, event)
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, handler in handlers.items():
            medians[name].append(_batch(handler, event))
    gc.unfreeze()
    logging.disable(logging.NOTSET)
    return {name: Timing(p50=statistics.median(taken), best=min(taken)) for name, taken in medians.items()}


def _batch(handler: Handler, event: dict[str, Any]) -> float:
    """Median of one batch, µs, after an event that warms up."""
    taken = []
    for _ in range(BATCH + 1):
        started = time.perf_counter()
        handler(event, Context())
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:]) * 1e6


def _event() -> dict[str, Any]:
    """API Gateway's sample, as a GET of / that is not below a stage: some peers know nothing of stages."""
    event: dict[str, Any] = json.loads((ROOT / "tests/aws_events/rest.json").read_text())
    event |= {"path": "/", "resource": "/", "body": None}
    event["requestContext"] |= {"path": "/", "resourcePath": "/"}
    return event
