"""Spans as OTLP/JSON.

Source: OpenTelemetry protocol, JSON encoding: ids are hexadecimal, 64-bit numbers are texts, enums are numbers.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from decant.tracing import Span

__all__ = ["encode"]

_RECORDED = 1
_ERROR = 2


def encode(spans: Iterable[Span], resource: Mapping[str, Any]) -> bytes:
    """The body of a request to `/v1/traces`.

    Args:
        spans: Spans that have ended.
        resource: Attributes of the process.
    """
    scope = {"scope": {"name": "decant"}, "spans": [_span(each) for each in spans]}
    document = {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}
    return json.dumps(document, separators=(",", ":")).encode()


def _span(span: Span) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "flags": _RECORDED,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(max(span.end_ns, span.start_ns)),
        "attributes": _attributes(span.attributes),
    }
    if span.parent_id:
        encoded["parentSpanId"] = span.parent_id
    if span.links:
        encoded["links"] = [{"traceId": link.trace_id, "spanId": link.span_id} for link in span.links]
    if span.failure is not None:
        kind, message = span.failure
        exception = _attributes({"exception.type": kind, "exception.message": message})
        encoded["status"] = {"code": _ERROR, "message": f"{kind}: {message}"}
        encoded["events"] = [{"name": "exception", "timeUnixNano": str(span.end_ns), "attributes": exception}]
    return encoded


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items() if value is not None]


def _value(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(each) for each in value]}}
        case _:
            return {"stringValue": str(value)}
