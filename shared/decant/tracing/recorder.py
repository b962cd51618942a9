"""Spans of a runtime, and their export to an OTLP/HTTP receiver.

A Lambda function exports them at the end of each invocation, before the process is frozen. Any other process exports
them half a second after the first of them has ended, and when its event loop ends.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Unpack

from decant import runtime
from decant._aws.request import request
from decant.config import load
from decant.errors import AwsUnavailable
from decant.observability import LogSettings
from decant.tracing import Kind, Origin, Parent, Span, TracingSettings
from decant.tracing.otlp import encode

__all__ = ["SpanRecorder"]

log = logging.getLogger("decant.tracing")

_EXPORT_AFTER_S = 0.5
_MOST_SPANS = 4096
_BATCH = 512
_PAUSE_S = 30.0
"""Seconds without an export after a failure, so that no other invocation waits for the same receiver."""


class SpanRecorder:
    """The tracer of a runtime without OpenTelemetry's SDK."""

    def __init__(self) -> None:
        settings, process = load(TracingSettings), load(LogSettings)
        self._url = settings.traces_endpoint or f"{(settings.endpoint or '').rstrip('/')}/v1/traces"
        self._headers = {"Content-Type": "application/json", **settings.headers}
        self._timeout_s = settings.timeout_ms / 1000
        self._resource = {
            "service.name": settings.service or process.service,
            "deployment.environment.name": process.stage,
            "faas.name": process.function_name or None,
            "process.pid": os.getpid(),
            **settings.resource,
        }
        self._threshold = int(settings.sampled * 2**56)
        self._in_lambda = bool(process.function_name)
        self._spans: list[Span] = []
        self._resume_at = 0.0
        self._is_reported = False
        runtime.current().at_end(self.flush)

    def start(self, name: str, kind: Kind, attributes: Mapping[str, Any], **origin: Unpack[Origin]) -> Span:
        """Begin a span."""
        parent = origin.get("parent") or Parent(os.urandom(16).hex())
        sampled = int(parent.trace_id[18:], 16) < self._threshold if parent.sampled is None else parent.sampled
        recorder, links = self if sampled else None, origin.get("links", ())
        return Span(recorder, parent, name, kind, attributes, links, origin.get("start_ns"))

    def add(self, span: Span) -> None:
        """Take a span that has ended; it is dropped when too many wait."""
        if len(self._spans) < _MOST_SPANS:
            self._spans.append(span)
            if not self._in_lambda and asyncio._get_running_loop() is not None:  # noqa: SLF001  # as in decant.runtime
                runtime.current().client(_Timer, lambda: _Timer(self), _Timer.aclose).start()

    async def flush(self) -> None:
        """Export all spans that have ended. A failure is logged once, and never raised."""
        while self._spans:
            spans, self._spans = self._spans[:_BATCH], self._spans[_BATCH:]
            if time.monotonic() >= self._resume_at:
                await self._export(spans)

    async def _export(self, spans: Sequence[Span]) -> None:
        try:
            response = await request("POST", self._url, self._headers, encode(spans, self._resource), self._timeout_s)
            error = None if response.status < HTTPStatus.MULTIPLE_CHOICES else f"it responded with {response.status}"
        except (AwsUnavailable, ValueError, UnicodeError) as failure:
            error = getattr(failure, "reason", str(failure))
        if error is None:
            self._is_reported = False
            return
        self._resume_at = time.monotonic() + _PAUSE_S
        if not self._is_reported:
            self._is_reported = True
            extra = {"receiver": self._url.partition("?")[0], "error": error, "spans": len(spans)}
            log.warning("Could not export traces; spans are dropped until the receiver accepts them", extra=extra)


class _Timer:
    """Exports of an event loop.

    Args:
        recorder: The spans.
    """

    def __init__(self, recorder: SpanRecorder) -> None:
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._exporting: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(_EXPORT_AFTER_S, self._export)

    def _export(self) -> None:
        self._handle = None
        self._exporting = asyncio.Task(self._recorder.flush(), loop=self._loop)

    async def aclose(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if self._exporting is not None:
            await asyncio.wait({self._exporting})
        await self._recorder.flush()
