"""A system of durable workflows that is measured."""

import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["STEPS", "Measured", "System", "measure"]

STEPS = 10
"""Steps of a workflow."""


@dataclass(frozen=True)
class Measured:
    """A measure.

    Attributes:
        rate: Steps per second.
        own_us: Microseconds of the process's own processor time per step.
    """

    rate: float
    own_us: float


class System(Protocol):
    """A system."""

    def run(self, count: int, in_flight: int) -> Measured | None:
        """Run workflows whose steps do nothing, so many at a time; None when it is not measured."""

    def run_in_transactions(self, count: int, in_flight: int) -> Measured | None:
        """Run workflows whose steps insert a row in the transaction of the step."""

    def close(self) -> None:
        """Release its connections."""


async def measure(count: int, work: Coroutine[Any, Any, object]) -> Measured:
    """Time the work of so many workflows."""
    started, own = time.perf_counter(), time.process_time()
    await work
    steps = count * STEPS
    return Measured(steps / (time.perf_counter() - started), 1e6 * (time.process_time() - own) / steps)
