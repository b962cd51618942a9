"""Prints a table of what was measured against the goals, or JSON: `make bench-local`. Nothing here asserts a time."""

import argparse
import os
import tempfile
from pathlib import Path

from tests.benchmarks.local.environments import cold_start, own_share
from tests.benchmarks.local.load import all_routes, changed_setting
from tests.benchmarks.local.measures import Measure, show
from tests.benchmarks.local.queues import drain
from tests.benchmarks.local.requests import latency, round_trip, throughput
from tests.benchmarks.local.running import fresh_clone_s, memory, up
from tests.benchmarks.progress import progress
from tests.loading import ROOT
from tests.upstream import Upstream


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with-clone", action="store_true", help="measure a clone with its installation too")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--requests", type=int, default=200, help="requests for each latency (%(default)s)")
    arguments = parser.parse_args()
    measures = []
    if arguments.with_clone:
        measures.append(Measure(name="fresh clone to the first 200", value=fresh_clone_s(), unit="s", goal="≤ 90"))
    measures += _whole(arguments.requests)
    measures += [measure() for measure in progress((own_share, cold_start), "the executor's own time, cold starts")]
    show(measures, as_json=arguments.json)


def _whole(requests: int) -> list[Measure]:
    with tempfile.TemporaryDirectory(prefix="decant-bench-") as state, Upstream() as upstream:
        os.environ["FETCH_DATA_URL"] = f"{upstream.url}/1"
        Path(state).chmod(0o755)  # PostgreSQL's own user has to get through, when we are root
        with up(ROOT, Path(state)):
            pass  # the database is made
        with up(ROOT, Path(state)) as running:
            second = Measure(name="second `make up` to the first 200", value=running.started_s, unit="s", goal="≤ 5")
            idle = memory(running)
            rest = [*latency(running, requests)]
            for measure, count in progress(
                ((throughput, requests), (round_trip, requests // 10)), "throughput, round trip"
            ):
                rest.append(measure(running, count))
            rest += [drain(running), changed_setting(running), *all_routes(running, Path(state))]
            return [second, *rest, *idle]


if __name__ == "__main__":
    main()
