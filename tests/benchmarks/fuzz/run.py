"""Send requests from a seed to a server, judge the responses, and look for the writes that were acknowledged."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

from tests.benchmarks.fuzz.changes import changed_draft
from tests.benchmarks.fuzz.drafts import Subject, valid_draft
from tests.benchmarks.fuzz.exchange import Ending, Response, Result, exchange
from tests.benchmarks.fuzz.malformed import RawRequest, malformed, written
from tests.benchmarks.fuzz.routes import Route
from tests.benchmarks.progress import progress

__all__ = ["Failure", "Outcome", "fuzz", "is_acknowledged", "known_values", "lost_write", "request_of", "sent"]

_CLIENTS = 8
_MALFORMED = 0.2
"""Share of the requests that are malformed HTTP."""
_ERROR_BYTES = 64 * 1024
"""Maximum size of the document of a client's error."""
_FOR_MALFORMED = {501, 505}
"""Statuses for an unknown transfer coding and an unknown version. Source: RFC 9112 (6.1), RFC 9110 (15.6)."""
_SHOWN_BYTES = 1_000


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A request with a wrong response, or without one.

    Attributes:
        index: Of the request: with the seed, it makes the same request again.
    """

    index: int
    request: RawRequest
    reason: str

    def __str__(self) -> str:
        data = b"".join(self.request.pieces)
        rest = f" … and {len(data) - _SHOWN_BYTES} bytes more" if len(data) > _SHOWN_BYTES else ""
        head = f"#{self.index} {self.request.route} ({self.request.kind}): {self.reason}"
        return f"{head}\n    {data[:_SHOWN_BYTES]!r}{rest}"


@dataclass(kw_only=True)
class Outcome:
    """The result of a run.

    Attributes:
        counts: Exchanges by route and status; `closed` for a connection that was closed without a response.
        acknowledged: Number of writes that were acknowledged with 201 or 202.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    acknowledged: int = 0


def request_of(seed: str, index: int, routes: Sequence[Route], subject: Subject) -> RawRequest:
    """The request with a number, the same in each run with the same seed."""
    random = Random(f"{seed}:{index}")  # noqa: S311  # reproducible, and no secret
    route = random.choice(routes)
    if random.random() < _MALFORMED:
        return malformed(random, route, subject)
    return written(random, changed_draft(random, route, subject), subject)


def known_values(routes: Sequence[Route], subject: Subject, limit_s: float) -> Subject:
    """The subject with values for path variables: ids that its routes have created.

    Raises:
        AssertionError: a valid request was not acknowledged.
    """
    found: dict[str, list[str]] = {}
    for route in routes:
        for _ in range(3 if route.creates else 0):
            random = Random(f"{uuid4()}")  # noqa: S311  # values that no earlier run has used
            request = written(random, valid_draft(random, route, subject), subject)
            result = sent(subject, request, limit_s)
            assert [each.status for each in result.responses[:1]] in ([201], [202]), f"{route}: {result}"
            found.setdefault(str(route.creates), []).append(_created(result.responses[0]))
    return replace(subject, path_values=found)


def _created(response: Response) -> str:
    """The id that a route has created: an order has no URL to read it from."""
    location = response.headers.get("location")
    return str(_document(response)["id"]) if location is None else location.rpartition("/")[2]


def fuzz(subject: Subject, routes: Sequence[Route], seed: str, indexes: Sequence[int], limit_s: float) -> Outcome:
    """Send requests, a few at a time.

    Args:
        subject: The server.
        routes: Of the bundle.
        seed: Of all requests.
        indexes: Numbers of the requests.
        limit_s: Time limit of each exchange.
    """
    outcome = Outcome()
    writes: list[tuple[int, RawRequest, Response]] = []

    def send(index: int) -> tuple[int, RawRequest, Result]:
        request = request_of(seed, index, routes, subject)
        return index, request, sent(subject, request, limit_s)

    with ThreadPoolExecutor(_CLIENTS) as pool:
        for index, request, result in pool.map(send, progress(indexes, f"requests to {subject.name}")):
            statuses = [str(response.status) for response in result.responses] or ["closed"]
            outcome.counts.update((str(request.route), status) for status in statuses)
            outcome.failures += (
                Failure(index=index, request=request, reason=reason) for reason in _reasons(request, result, limit_s)
            )
            writes += ((index, request, response) for response in result.responses if is_acknowledged([response]))
        outcome.acknowledged = len(writes)
        lost = pool.map(lambda write: lost_write(subject, write[1].route, write[2], limit_s), writes)
    for (index, request, _response), reason in zip(writes, lost, strict=True):
        if reason:
            outcome.failures.append(Failure(index=index, request=request, reason=reason))
    return outcome


def sent(subject: Subject, request: RawRequest, limit_s: float) -> Result:
    """Send one request; the arguments are those of `fuzz`."""
    return exchange(subject.address, request.pieces, request.ending, request.methods, limit_s)


def _reasons(request: RawRequest, result: Result, limit_s: float) -> Iterator[str]:
    if result.is_hanging:
        yield f"no response within {limit_s:g} s"
    elif not result.responses and not request.is_malformed:
        yield "the connection was closed without a response"
    for response in result.responses:
        if response.status >= 500 and not (request.is_malformed and response.status in _FOR_MALFORMED):
            yield f"{response.status}: {response.body[:500]!r}"
        if response.status >= 400 and len(response.body) > _ERROR_BYTES:
            yield f"{response.status} with a document of {len(response.body)} bytes"


def is_acknowledged(responses: Sequence[Response]) -> bool:
    """Whether the first response acknowledges a write and names where it can be read."""
    return bool(responses) and responses[0].status in {201, 202} and "location" in responses[0].headers


def lost_write(subject: Subject, route: Route, response: Response, limit_s: float) -> str | None:
    """Why an acknowledged write cannot be found at the URL of the response; None when it is there."""
    path = urljoin(subject.prefix + route.path, response.headers["location"])
    head = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n" % (path.encode(), subject.host)
    data = head + b"Authorization: %s\r\n\r\n" % subject.tokens.valid
    result = exchange(subject.address, [data], Ending.WAIT, ["GET"], limit_s)
    if not result.responses or result.responses[0].status != 200:
        return f"acknowledged write is not found at {path}: {result}"
    written_document, found = _document(response), _document(result.responses[0])
    if written_document.keys() == found.keys() and written_document != found:
        return f"acknowledged write has changed: {written_document} became {found}"
    return None


def _document(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found
