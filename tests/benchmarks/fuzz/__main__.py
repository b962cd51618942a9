"""Fuzz the local cloud's gateway and `make serve`: `make fuzz`."""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from tests.benchmarks.fuzz.drafts import Subject
from tests.benchmarks.fuzz.routes import Route, load_routes
from tests.benchmarks.fuzz.run import Outcome, fuzz, known_values
from tests.benchmarks.fuzz.servers import gateway, serve

_SERVERS = {"gateway": gateway, "serve": serve}
_SHOWN_FAILURES = 50


def main() -> int:
    """Fuzz the servers; 1 when a response is wrong, missing, or a write is lost."""
    options = _options()
    routes = load_routes()
    print(f"{len(routes)} routes, seed {options.seed!r}")
    indexes = [options.only] if options.only is not None else range(options.requests)
    outcomes = [
        _fuzz(start(), routes, options.seed, indexes, options.limit_s)
        for name, start in _SERVERS.items()
        if options.server in {None, name}
    ]
    return 1 if any(outcome.failures for outcome in outcomes) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzz every route of the bundle over HTTP.")
    parser.add_argument("--requests", type=int, default=5_000, help="number of requests for each server (5000)")
    parser.add_argument("--seed", default="decant", help="of all requests (decant)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="send the request with this number alone")
    parser.add_argument("--server", choices=_SERVERS, help="this server alone")
    parser.add_argument("--limit-s", type=float, default=20, help="time limit of a request, seconds (20)")
    return parser.parse_args()


def _fuzz(
    server: AbstractContextManager[Subject], routes: Sequence[Route], seed: str, indexes: Sequence[int], limit_s: float
) -> Outcome:
    with server as subject:
        known = known_values(routes, subject, limit_s)
        started = time.monotonic()
        outcome = fuzz(known, routes, seed, indexes, limit_s)
        _print(subject, outcome, len(indexes), time.monotonic() - started)
    return outcome


def _print(subject: Subject, outcome: Outcome, count: int, duration_s: float) -> None:
    print(f"\n{subject.name}: {count} requests in {duration_s:.1f} s")
    for route in sorted({route for route, _status in outcome.counts}):
        counts = sorted((status, count) for (name, status), count in outcome.counts.items() if name == route)
        print(f"  {route:32} " + "  ".join(f"{status} x {count}" for status, count in counts))
    print(f"  {outcome.acknowledged} acknowledged writes, {len(outcome.failures)} failures")
    for failure in outcome.failures[:_SHOWN_FAILURES]:
        print(f"  {failure}")


if __name__ == "__main__":
    sys.exit(main())
