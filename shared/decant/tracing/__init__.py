"""Spans of traces: requests, views, statements, HTTP calls, and the life of tasks. Off unless there is a receiver.

    with tracing.span("charge the card", {"shop.order": order_id}) as span:
        span.set({"shop.amount": amount})

`OTEL_EXPORTER_OTLP_ENDPOINT` is the address of a receiver. When the application has configured OpenTelemetry's SDK,
its spans are made with that instead, and its exporter sends them. While tracing is off, nothing beyond this module is
imported, and `span` costs the look-up of a context variable.

Source: OpenTelemetry semantic conventions.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Protocol, Self, TypedDict, Unpack

from decant import runtime
from decant.config import count, flag, http_url, load, names, pairs, setting, settings_group, share, text
from decant.tracing.headers import Parent, format_xray, parse_traceparent, parse_xray

__all__ = [
    "Kind",
    "Origin",
    "Parent",
    "Span",
    "Tracer",
    "TracingSettings",
    "current",
    "outgoing_headers",
    "parse_traceparent",
    "parse_xray",
    "span",
    "tracer",
]


@settings_group
class TracingSettings:
    """Settings of tracing, with OpenTelemetry's names."""

    endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        http_url,
        "Address of an OTLP/HTTP receiver of traces, without `/v1/traces`; tracing is off without it",
        default=None,
    )
    traces_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        http_url,
        "Whole address of an OTLP/HTTP receiver of traces, in place of OTEL_EXPORTER_OTLP_ENDPOINT",
        default=None,
    )
    disabled: bool = setting("OTEL_SDK_DISABLED", flag, "Turn tracing off", default=False)
    sampled: float = setting(
        "OTEL_TRACES_SAMPLER_ARG",
        share,
        "Share of the traces that begin here which are recorded, from 0 to 1",
        default=1.0,
    )
    propagators: tuple[str, ...] = setting(
        "OTEL_PROPAGATORS",
        names,
        "Headers of traces in HTTP calls: tracecontext for traceparent, xray for X-Amzn-Trace-Id",
        default=("tracecontext",),
    )
    headers: Mapping[str, str] = setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        pairs,
        "Headers of the exports of traces, `name=value,name=value`",
        default=MappingProxyType({}),
    )
    timeout_ms: int = setting(
        "OTEL_EXPORTER_OTLP_TIMEOUT", count, "Longest wait for the receiver of traces, milliseconds", default=1000
    )
    service: str = setting("OTEL_SERVICE_NAME", text, "Name of the service in traces, in place of SERVICE", default="")
    resource: Mapping[str, str] = setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        pairs,
        "Attributes of the process in traces, `name=value,name=value`",
        default=MappingProxyType({}),
    )


class Kind(IntEnum):
    """Role of a span, with OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Recorder(Protocol):
    """Takes spans that have ended."""

    def add(self, span: "Span") -> None:
        """Take a span."""


class Span:
    """A span; as a context manager it is the current span of its block, and ends with it.

    Args:
        recorder: Takes it at its end; None for a span that is not recorded and only passes its trace on.
        parent: The span or trace that it belongs to.
        name: Name, of which there are few.
        kind: Role.
        attributes: Attributes by OpenTelemetry's names; values are texts, numbers, booleans or lists of texts.
        links: Spans of other traces that have caused it too.
        start_ns: Start, nanoseconds since 1970; now by default.
    """

    __slots__ = (
        "_recorder",
        "_token",
        "attributes",
        "end_ns",
        "failure",
        "kind",
        "links",
        "name",
        "parent_id",
        "span_id",
        "start_ns",
        "trace_id",
    )

    def __init__(  # noqa: PLR0913, PLR0917  # the fields of a span
        self,
        recorder: Recorder | None,
        parent: Parent,
        name: str,
        kind: Kind,
        attributes: Mapping[str, Any],
        links: Sequence[Parent] = (),
        start_ns: int | None = None,
    ) -> None:
        self._recorder = recorder
        self.trace_id = parent.trace_id
        self.parent_id = parent.span_id
        self.span_id = os.urandom(8).hex()
        self.name = name
        self.kind = kind
        self.attributes = dict(attributes)
        self.links = links
        self.failure: tuple[str, str] | None = None
        self.start_ns = start_ns or time.time_ns()
        self.end_ns = 0

    def __enter__(self) -> Self:
        self._token: Token[Span | None] = current.set(self)
        return self

    def __exit__(self, _type: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        current.reset(self._token)
        if error is not None:
            self.fail(type(error).__name__, str(error))
        self.end()

    @property
    def parent(self) -> Parent:
        """This span as the parent of others."""
        return Parent(self.trace_id, self.span_id, self._recorder is not None)

    @property
    def traceparent(self) -> str:
        """The header that passes this span on to other processes."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self._recorder is not None else '00'}"

    def set(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes."""
        self.attributes |= attributes

    def rename(self, name: str) -> None:
        """Change the name."""
        self.name = name

    def fail(self, kind: str, message: str) -> None:
        """Mark the span as failed, with the class of the error and its message."""
        self.failure = kind, message

    def child(
        self, name: str, kind: Kind, attributes: Mapping[str, Any], start_ns: int | None = None
    ) -> "Span | NoSpan":
        """A span inside of this span."""
        if self._recorder is None:
            return _NO_SPAN
        return Span(self._recorder, self.parent, name, kind, attributes, (), start_ns)

    def end(self, end_ns: int | None = None) -> None:
        """End the span, now by default."""
        if self._recorder is not None and not self.end_ns:
            self.end_ns = end_ns or time.time_ns()
            self._recorder.add(self)


class NoSpan:
    """Takes the place of a span while nothing is recorded."""

    __slots__ = ()

    traceparent = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def set(self, attributes: Mapping[str, Any]) -> None:
        """Do nothing."""

    def fail(self, kind: str, message: str) -> None:
        """Do nothing."""

    def end(self, end_ns: int | None = None) -> None:
        """Do nothing."""


_NO_SPAN = NoSpan()
_NONE: Mapping[str, Any] = MappingProxyType({})

current: ContextVar[Span | None] = ContextVar("decant_span", default=None)
"""The span that contains the running code; None while nothing is traced."""


def span(name: str, attributes: Mapping[str, Any] = _NONE, kind: Kind = Kind.INTERNAL) -> Span | NoSpan:
    """A span inside of the current span, as a context manager.

    Outside of a request or a task, and while tracing is off, nothing is recorded.

    Args:
        name: Name, of which there are few: values belong to the attributes.
        attributes: Texts, numbers, booleans or lists of texts, by name.
        kind: Role.
    """
    parent = current.get()
    return _NO_SPAN if parent is None else parent.child(name, kind, attributes)


class Origin(TypedDict, total=False):
    """What a span that a tracer begins comes from.

    Attributes:
        parent: The span or trace that it belongs to; without it, the span begins a trace.
        links: Spans of other traces that have caused it too.
        start_ns: Its start, nanoseconds since 1970; now by default.
    """

    parent: Parent | None
    links: Sequence[Parent]
    start_ns: int | None


def outgoing_headers(span: Span | NoSpan, parent: Span) -> dict[str, str]:
    """Headers of a request to another service: those of the span, or of its parent while nothing is recorded."""
    traceparent = span.traceparent or parent.traceparent
    wanted = load(TracingSettings).propagators
    headers = {"traceparent": traceparent} if "tracecontext" in wanted else {}
    if "xray" in wanted:
        headers["X-Amzn-Trace-Id"] = format_xray(traceparent)
    return headers


class Tracer(Protocol):
    """Begins spans whose parent is in another process, or that begin a trace."""

    def start(self, name: str, kind: Kind, attributes: Mapping[str, Any], **origin: Unpack[Origin]) -> Span:
        """Begin a span."""


def tracer() -> Tracer | None:
    """The tracer of the current runtime; None while tracing is off.

    Raises:
        ConfigError: the settings are bad.
    """
    settings = load(TracingSettings)
    if settings.disabled:
        return None
    if "opentelemetry.sdk.trace" in sys.modules:
        from decant.tracing.sdk import sdk_tracer  # noqa: PLC0415  # with the SDK alone

        if (own := sdk_tracer()) is not None:
            return own
    if settings.endpoint is None and settings.traces_endpoint is None:
        return None
    from decant.tracing.recorder import SpanRecorder  # noqa: PLC0415  # while tracing is on

    return runtime.current().get(SpanRecorder, SpanRecorder)
