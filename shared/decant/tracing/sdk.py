"""Spans that OpenTelemetry's SDK records, when the application has configured it."""

import sys
from collections.abc import Mapping
from typing import Any, Self, Unpack

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from decant import runtime
from decant.config import load
from decant.tracing import Kind, Origin, Parent, Span, TracingSettings

__all__ = ["sdk_tracer"]

_KINDS = {kind: SpanKind[kind.name] for kind in Kind}


def sdk_tracer() -> "SdkTracer | None":
    """The tracer of the SDK; None when the application has imported it and not configured it."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, sys.modules["opentelemetry.sdk.trace"].TracerProvider):
        return None
    return runtime.current().get(SdkTracer, SdkTracer)


class SdkTracer:
    """Begins spans of the SDK, whose sampler and exporter apply. They are flushed at the end of every invocation."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("decant")
        self._timeout_ms = load(TracingSettings).timeout_ms
        runtime.current().at_end(self.flush)

    def start(self, name: str, kind: Kind, attributes: Mapping[str, Any], **origin: Unpack[Origin]) -> Span:
        """Begin a span; without a parent, in the current span of the SDK, or else a trace."""
        parent = origin.get("parent")
        context = None if parent is None else trace.set_span_in_context(NonRecordingSpan(_context(parent)))
        started = self._tracer.start_span(
            name,
            context,
            _KINDS[kind],
            _present(attributes),
            [Link(_context(link)) for link in origin.get("links", ())],
            origin.get("start_ns"),
        )
        return _SdkSpan(self._tracer, started, name, kind)

    async def flush(self) -> None:
        """Let the SDK export all spans that have ended."""
        flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            flush(self._timeout_ms)


class _SdkSpan(Span):
    """A span of the SDK with the methods of `Span`."""

    __slots__ = ("_context_token", "_span", "_tracer")

    def __init__(self, tracer: trace.Tracer, span: trace.Span, name: str, kind: Kind) -> None:
        given = span.get_span_context()
        super().__init__(None, Parent(f"{given.trace_id:032x}"), name, kind, {})
        self.span_id = f"{given.span_id:016x}"
        self._tracer = tracer
        self._span = span

    def __enter__(self) -> Self:
        self._context_token = otel_context.attach(trace.set_span_in_context(self._span))
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> None:
        super().__exit__(kind, error, where)
        otel_context.detach(self._context_token)

    @property
    def parent(self) -> Parent:
        return Parent(self.trace_id, self.span_id, self._span.get_span_context().trace_flags.sampled)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.parent.sampled else '00'}"

    def set(self, attributes: Mapping[str, Any]) -> None:
        self._span.set_attributes(_present(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, kind: str, message: str) -> None:
        self.failure = kind, message
        self._span.add_event("exception", {"exception.type": kind, "exception.message": message})
        self._span.set_status(Status(StatusCode.ERROR, f"{kind}: {message}"))

    def child(self, name: str, kind: Kind, attributes: Mapping[str, Any], start_ns: int | None = None) -> Span:
        inner = trace.get_current_span()  # of the application, inside of this span
        is_inside = inner.get_span_context().trace_id == self._span.get_span_context().trace_id
        context = trace.set_span_in_context(inner if is_inside else self._span)
        started = self._tracer.start_span(name, context, _KINDS[kind], _present(attributes), None, start_ns)
        return _SdkSpan(self._tracer, started, name, kind)

    def end(self, end_ns: int | None = None) -> None:
        self._span.end(end_ns)


def _context(parent: Parent) -> SpanContext:
    """The span; the SDK takes a trace without a span for no trace, so that the span gets a part of the trace's id."""
    flags = TraceFlags(TraceFlags.DEFAULT if parent.sampled is False else TraceFlags.SAMPLED)
    span_id = parent.span_id or parent.trace_id[16:]
    return SpanContext(int(parent.trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)


def _present(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
