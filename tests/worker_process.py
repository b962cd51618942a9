"""A worker in a process of its own, to be killed: `python -m tests.worker_process POINT ID…`.

It gives the messages of the ids to the worker's own handler and prints its report, as Lambda would answer it.
"""

import json
import sys
import time

from decant import loop
from decant.worker.execution import Deadline
from decant.worker.sqs_handler import handle
from tests import mortal
from tests.worlds import as_records

CLOCKS_OFF_S = {"clock behind": -120, "clock ahead": 120}


def main(point: str, ids: list[str]) -> int:
    """Run the tasks of messages; `point` is the moment at which this process ends."""
    if point == "before the claim":
        mortal.die()
    if point in CLOCKS_OFF_S:
        real = time.time_ns
        time.time_ns = lambda: real() + CLOCKS_OFF_S[point] * 10**9
    report = loop.run(handle(as_records(ids), Deadline(60)))
    if point == "before the acknowledgement":
        mortal.die()
    print(json.dumps(report))  # noqa: T201  # the answer
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
