"""Measure this version and another working tree in turn, with one interpreter, and print medians and ratios."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.progress import progress
from tests.benchmarks.tasks.side import MEASURES

__all__ = ["compare"]

ROOT = Path(__file__).resolve().parents[3]
SIDE = Path(__file__).with_name("side.py")


class Side:
    """A process that measures one version.

    Attributes:
        version: Commit and interpreter.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.version = str(self._read())

    def measure(self, name: str) -> tuple[float, float]:
        """Tasks per second, and microseconds of the process's own processor time per task."""
        assert self._process.stdin is not None
        print(name, file=self._process.stdin, flush=True)
        rate, own_us = self._read()
        return rate, own_us

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the measuring process ended with status {self._process.wait()}")
        return json.loads(line)


def compare(base: Path, rounds: int) -> None:
    """Print the medians of several rounds; in every round, each measure is made by one version after the other."""
    with ExitStack() as stack:
        before, now = (stack.enter_context(_side(tree)) for tree in (base, ROOT))
        results = {
            name: [
                (before.measure(name), now.measure(name)) for _ in progress(range(rounds), name)
            ]  # both see the same machine
            for name in MEASURES
        }
    console = Console(width=140)
    console.print(f"base: {before.version}\nnow:  {now.version}\nmedians of {rounds} rounds")
    table = Table("measure", "base/s", "now/s", "time now/base", "base µs", "now µs", "processor now/base")
    for name, pairs in results.items():
        (rate_before, us_before), (rate_now, us_now) = (
            [median(pair[side][figure] for pair in pairs) for figure in (0, 1)] for side in (0, 1)
        )
        rates = f"{rate_before:,.0f}", f"{rate_now:,.0f}", f"{rate_before / rate_now:.3f}"
        table.add_row(name, *rates, f"{us_before:.0f}", f"{us_now:.0f}", f"{us_now / us_before:.3f}")
    console.print(table)


@contextmanager
def _side(tree: Path) -> Iterator[Side]:
    environment = os.environ | {"PYTHONPATH": f"{tree}:{tree / 'shared'}:{tree / 'infra'}", "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(
        [sys.executable, str(SIDE)],
        cwd=tree,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Side(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # it removes its PostgreSQL and ends
        process.wait(60)
