"""Clients that send valid requests of all routes, one after another, and keep the responses."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

from tests.benchmarks.fuzz.drafts import Subject, valid_draft
from tests.benchmarks.fuzz.exchange import Response
from tests.benchmarks.fuzz.malformed import written
from tests.benchmarks.fuzz.routes import Route
from tests.benchmarks.fuzz.run import is_acknowledged, lost_write, sent

__all__ = ["Exchange", "Window", "faults_of", "load", "lost", "percentile_ms", "statuses"]

LIMIT_S = 60.0
"""Time limit of a request."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A time in which the service may respond with 503, by the monotonic clock."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request and its response; None for none within the limit, or when the connection was closed."""

    route: Route
    started: float
    duration_s: float
    response: Response | None


def load(subject: Subject, routes: Sequence[Route], clients: int, duration_s: float, seed: str) -> list[Exchange]:
    """Send requests from a number of clients at a time.

    Args:
        subject: The server.
        routes: Of the bundle.
        clients: Number of clients; each sends its next request after the response.
        duration_s: Time after which no request is started.
        seed: Of the requests.
    """
    exchanges: list[Exchange] = []
    adding = threading.Lock()
    end = time.monotonic() + duration_s

    def client(number: int) -> None:
        random = Random(f"{seed}:{number}")  # noqa: S311  # reproducible, and no secret
        while (started := time.monotonic()) < end:
            route = random.choice(routes)
            result = sent(subject, written(random, valid_draft(random, route, subject), subject), LIMIT_S)
            response = result.responses[0] if result.responses else None
            exchange = Exchange(route=route, started=started, duration_s=result.duration_s, response=response)
            with adding:
                exchanges.append(exchange)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return exchanges


def lost(subject: Subject, exchanges: Iterable[Exchange], clients: int) -> tuple[int, list[str]]:
    """Number of acknowledged writes, and a line for each that cannot be found."""
    writes = [each for each in exchanges if each.response is not None and is_acknowledged([each.response])]

    def look(write: Exchange) -> str | None:
        assert write.response is not None
        return lost_write(subject, write.route, write.response, LIMIT_S)

    with ThreadPoolExecutor(clients) as pool:
        return len(writes), [reason for reason in pool.map(look, writes) if reason]


def faults_of(exchanges: Iterable[Exchange], windows: Sequence[Window]) -> list[str]:
    """A line for each exchange that is wrong: errors are allowed as 503 with Retry-After, within a window."""
    return [reason for exchange in exchanges if (reason := _fault(exchange, windows)) is not None]


def _fault(exchange: Exchange, windows: Sequence[Window]) -> str | None:
    response, ended = exchange.response, exchange.started + exchange.duration_s
    if response is not None and response.status < 500:
        return None
    is_in_window = any(window.start <= ended and exchange.started <= window.end for window in windows)
    if response is not None and response.status == 503 and "retry-after" in response.headers and is_in_window:
        return None
    found = "no response" if response is None else f"{response.status}: {response.body[:300]!r}"
    since = ", ".join(f"{ended - window.start:.1f} s after {window.name}" for window in windows)
    return f"{exchange.route} after {exchange.duration_s:.1f} s, {since}: {found}"


def statuses(exchanges: Iterable[Exchange]) -> Counter[str]:
    """Number of exchanges by status."""
    return Counter(str(each.response.status) if each.response else "closed" for each in exchanges)


def percentile_ms(exchanges: Iterable[Exchange], share: float) -> float:
    """The duration that a share of the exchanges does not exceed, milliseconds."""
    durations = sorted(each.duration_s for each in exchanges)
    return durations[min(len(durations) - 1, int(len(durations) * share))] * 1000
