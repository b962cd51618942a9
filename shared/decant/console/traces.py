"""Traces that the local cloud has received: a list of requests, and the spans of a trace."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from decant import db
from decant.console.formatting import redacted

__all__ = ["RequestTrace", "Trace", "TraceSpan", "requests", "trace"]

_MOST_SPANS = 1000

REQUESTS = """
    SELECT number, trace_id, name, service, started, seconds, error,
        CAST(attributes ->> 'http.response.status_code' AS integer) AS status,
        attributes ->> 'url.path' AS path
    FROM decant.span WHERE kind = 2 AND number < :before ORDER BY number DESC LIMIT :count
"""
"""Requests, those that were received last first."""

SPANS = """
    SELECT span_id, parent_id, name, kind, service, started, seconds, error, CAST(attributes AS text) AS attributes,
        CAST(links AS text) AS links
    FROM decant.span WHERE trace_id = :trace_id ORDER BY started, number LIMIT :most
"""


class RequestTrace(Struct, frozen=True):
    """A request.

    Attributes:
        number: Value of `before` for the requests that were received earlier.
        seconds: Its duration.
    """

    number: int
    trace_id: UUID
    name: str
    service: str
    started: datetime
    seconds: float
    error: str | None
    status: int | None
    path: str | None


class TraceSpan(Struct, frozen=True):
    """A span.

    Attributes:
        parent_id: Its parent, which may be of a process whose spans were not received; empty without a parent.
        kind: As in OTLP.
        seconds: Its duration.
        links: Ids of other traces.
    """

    span_id: str
    parent_id: str
    name: str
    kind: int
    service: str
    started: datetime
    seconds: float
    error: str | None
    attributes: dict[str, Any]
    links: list[UUID]


class Trace(Struct, frozen=True):
    """The spans of a trace in the order of their starts; `truncated` when it has more than a thousand."""

    trace_id: UUID
    spans: list[TraceSpan]
    truncated: bool


async def requests(before: int | None = None, count: int = 50) -> list[RequestTrace]:
    """Requests, those that were received last first.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached.
    """
    rows = await db.execute(REQUESTS, {"before": 2**62 if before is None else before, "count": count})
    return [RequestTrace(**row) for row in rows]


async def trace(trace_id: UUID) -> Trace:
    """The spans of a trace; none when the local cloud has not received any, or has deleted them.

    Raises:
        DatabaseUnavailable: PostgreSQL cannot be reached.
    """
    rows = await db.execute(SPANS, {"trace_id": trace_id, "most": _MOST_SPANS + 1})
    return Trace(trace_id, [_span(dict(row)) for row in rows[:_MOST_SPANS]], len(rows) > _MOST_SPANS)


def _span(row: dict[str, Any]) -> TraceSpan:
    row["attributes"] = redacted(msgspec.json.decode(row["attributes"]))
    row["links"] = msgspec.json.decode(row["links"], type=list[UUID])
    return TraceSpan(**row)
