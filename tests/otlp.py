"""A receiver of OTLP/HTTP traces in JSON, which checks every request against OpenTelemetry's schema."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from decant import runtime

__all__ = ["Received", "Receiver", "collect", "receiving"]


@dataclass(frozen=True)
class Received:
    """A span.

    Attributes:
        links: Pairs of trace and span.
        error: Message of the status; empty without an error.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    error: str
    resource: dict[str, Any]


@dataclass
class Receiver:
    """The receiver.

    Attributes:
        spans: All received spans, in their order.
        requests: Headers of the requests.
        status: Status of its responses.
    """

    spans: list[Received] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    url: str = ""

    def named(self, name: str) -> Received:
        """The only span of a name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def all_named(self, name: str) -> list[Received]:
        """The spans of a name, in the order of their starts."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: span.start_ns)

    def take(self, body: bytes) -> None:
        """Take the body of a request."""
        document = json.loads(body)
        for group in document["resourceSpans"]:
            for scope in group["scopeSpans"]:
                for span in scope["spans"]:
                    _to_base64(span)
        parsed = json_format.Parse(json.dumps(document), ExportTraceServiceRequest())
        for group in parsed.resource_spans:
            resource = _attributes(group.resource.attributes)
            self.spans += [_received(span, resource) for scope in group.scope_spans for span in scope.spans]


def _to_base64(part: dict[str, Any]) -> None:
    """Ids are hexadecimal in OTLP's JSON, and base64 in the JSON of protobuf."""
    for name in ("traceId", "spanId", "parentSpanId"):
        if name in part:
            assert part[name] == part[name].lower()
            part[name] = base64.b64encode(bytes.fromhex(part[name])).decode()
    for link in part.get("links", ()):
        _to_base64(link)


def _received(span: Any, resource: dict[str, Any]) -> Received:
    return Received(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        span.status.message,
        resource,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def receiving(patch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Start a receiver on loopback, and send the traces of this process to it."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            receiver.requests.append(dict(self.headers))
            receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    runtime.current().reload()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def collect() -> None:
    """Export all spans that have ended, as at the end of an invocation."""
    for work in runtime.current()._endings:
        await work()
