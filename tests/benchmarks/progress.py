"""Progress of the benchmarks, on standard error: standard output contains results only."""

import sys
import time
from collections.abc import Collection, Iterator

__all__ = ["progress"]

EVERY_S = 5
"""Seconds between two lines."""


def progress[T](items: Collection[T], what: str) -> Iterator[T]:
    """Iterate over what is measured, and print how far it is, when it starts and every few seconds.

    Args:
        items: Rounds or measures.
        what: Name of what they measure.
    """
    started = time.monotonic()
    printed = -EVERY_S * 1.0
    for number, item in enumerate(items, 1):
        passed = time.monotonic() - started
        if passed - printed >= EVERY_S:
            printed = passed
            print(f"{what}: {number} of {len(items)}, after {passed:.0f} s", file=sys.stderr, flush=True)
        yield item
