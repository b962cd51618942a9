"""Headers that pass a trace from one process to another.

Source: W3C Trace Context; AWS X-Ray Developer Guide, "Tracing header".
"""

import re
from typing import NamedTuple

__all__ = ["Parent", "format_xray", "parse_traceparent", "parse_xray"]


class Parent(NamedTuple):
    """A span of another process.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits; empty when only the trace is known.
        sampled: Whether it is recorded; None leaves the decision to this process.
    """

    trace_id: str
    span_id: str = ""
    sampled: bool | None = None


_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def parse_traceparent(header: str | None) -> Parent | None:
    """The span of a `traceparent`; None when the text is not one.

    Source: W3C Trace Context, section 3.2.
    """
    found = _TRACEPARENT.fullmatch((header or "").strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Parent(trace_id, span_id, bool(int(flags, 16) & 1))


_XRAY_ROOT = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_XRAY_PARENT = re.compile(r"[0-9a-f]{16}")


def parse_xray(header: str | None) -> Parent | None:
    """The span of X-Ray's header, `Root=1-…-…;Parent=…;Sampled=1`; None when the text is not one.

    `Sampled=0` says that X-Ray does not record its segments: this process decides for itself, and its spans have no
    parent that is not recorded.
    """
    fields = dict(part.strip().partition("=")[::2] for part in (header or "").split(";"))
    root = _XRAY_ROOT.fullmatch(fields.get("Root", ""))
    if root is None:
        return None
    sampled = fields.get("Sampled") == "1"
    parent = fields.get("Parent", "")
    return Parent("".join(root.groups()), parent if sampled and _XRAY_PARENT.fullmatch(parent) else "", sampled or None)


def format_xray(traceparent: str) -> str:
    """X-Ray's header for the span of a `traceparent`, as OpenTelemetry's propagator for X-Ray writes it."""
    _, trace_id, span_id, flags = traceparent.split("-")
    return f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={span_id};Sampled={int(flags, 16) & 1}"
