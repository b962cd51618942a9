"""Measure one version in a process of its own: read a measure's name per line, and write its result as JSON.

The process is started with the version's tree first on the path, so that all imports below are of that version.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Callable

from tests.benchmarks.tasks.own import Decant, Measured, decant

MEASURES: dict[str, Callable[[Decant], Measured]] = {
    "run 1,000 tasks that wait 50 ms, 100 a batch": lambda decant: decant.run("wait", (0.05,), 1000, 100),
    "run 5,000 tasks that do nothing, 10 a batch": lambda decant: decant.run("noop", (), 5000, 10),
    "run 5,000 tasks that do nothing, 100 a batch": lambda decant: decant.run("noop", (), 5000, 100),
    "run 5,000 tasks that do nothing, 1,000 a batch": lambda decant: decant.run("noop", (), 5000, 1000),
    "enqueue 1,000 tasks one by one": lambda decant: decant.enqueue(1000),
    "enqueue 10,000 tasks at once": lambda decant: decant.enqueue_many(10_000),
}


def main() -> int:
    """Serve measures until the input ends."""
    with decant() as measured:
        print(json.dumps(_versions()), flush=True)
        for line in sys.stdin:
            print(json.dumps(_result(MEASURES[line.strip()](measured))), flush=True)
    return 0


def _result(measured: Measured) -> list[float]:
    return [measured.rate, measured.own_us]


def _versions() -> str:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    return f"{commit.stdout.strip()} on Python {platform.python_version()}"


if __name__ == "__main__":
    raise SystemExit(main())
