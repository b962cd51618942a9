"""A receiver of OTLP/HTTP traces for the local cloud: it keeps spans in the local database, for the console.

Source: OpenTelemetry protocol, OTLP/HTTP with JSON.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import psycopg
from psycopg.types.json import Jsonb

__all__ = ["Collector"]

MOST_SPANS = 100_000
KEPT_S = 24 * 3600
_STORE_EVERY_S = 0.2
_FORGET_EVERY_S = 30.0
_MOST_BYTES = 16 * 1024 * 1024
_MOST_TEXT = 4000

_INSERT = """
    INSERT INTO decant.span
        (trace_id, span_id, parent_id, name, kind, service, started, seconds, error, attributes, links)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_FORGET = """
    DELETE FROM decant.span
    WHERE started < now() - make_interval(secs => %s) OR number <= (SELECT max(number) FROM decant.span) - %s
"""


class Collector:
    """The receiver, as a context manager; one thread serves it, another one stores the spans that have arrived.

    The response to a request does not wait for the database, because a function waits for the response. While the
    database is unavailable, the spans that have arrived are kept, and requests are rejected. A span that PostgreSQL
    rejects is dropped.

    Args:
        database_url: SQLAlchemy address of the database.
        most_spans: Number of spans that are kept, about.
        kept_s: Age up to which they are kept, seconds.
    """

    def __init__(self, database_url: str, *, most_spans: int = MOST_SPANS, kept_s: float = KEPT_S) -> None:
        self._address = "postgresql://" + database_url.partition("://")[2]
        self._limits = kept_s, most_spans
        self._connection: psycopg.Connection[Any] | None = None
        self._rows: list[tuple[Any, ...]] = []
        self._turn = threading.Lock()
        self._is_available = True
        self._forget_at = 0.0
        self._over = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address, a value of `OTEL_EXPORTER_OTLP_ENDPOINT`; empty before its start."""
        return "" if self._server is None else f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Serve requests from now on."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._server.serve_forever, self._run)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the server, and store what has arrived; nothing happens before its start."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._over.set()
            for thread in self._threads:
                thread.join()

    def take(self, document: Mapping[str, Any]) -> bool:
        """Take the spans of a request; False when they are dropped, because the database is unavailable.

        Raises:
            KeyError, OverflowError, TypeError, ValueError: the document is not OTLP.
        """
        rows = list(_rows(document))
        with self._turn:
            if self._is_available:
                self._rows += rows
            return self._is_available

    def _run(self) -> None:
        while not self._over.wait(_STORE_EVERY_S):
            self._store()
        self._store()
        self._close()

    def _store(self) -> None:
        """Store the spans that have arrived, and delete those beyond the limits now and then."""
        with self._turn:
            rows, self._rows = self._rows, []
        if not rows:
            return
        try:
            self._write(rows)
        except psycopg.Error:
            if self._connection is None or self._connection.broken:  # the database may have been restarted
                self._close()
                with self._turn:
                    self._is_available, self._rows = False, rows + self._rows
                return
            self._write_singly(rows)
        self._is_available = True

    def _write_singly(self, rows: list[tuple[Any, ...]]) -> None:
        """Store rows by themselves, without those that PostgreSQL rejects."""
        for row in rows:
            with contextlib.suppress(psycopg.Error):
                self._write([row])

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        if self._connection is None:
            self._connection = psycopg.connect(self._address, autocommit=True, connect_timeout=3)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_INSERT, rows)
            if time.monotonic() >= self._forget_at:
                cursor.execute(_FORGET, self._limits)
                self._forget_at = time.monotonic() + _FORGET_EVERY_S

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _rows(document: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for group in document["resourceSpans"]:
        resource = _attributes(group.get("resource", {}).get("attributes", ()))
        service = resource.get("faas.name") or resource.get("service.name") or ""
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                yield _row(span, str(service))


def _row(span: Mapping[str, Any], service: str) -> tuple[Any, ...]:
    start_ns, end_ns = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    status = span.get("status", {})
    is_failed = status.get("code") in {2, "STATUS_CODE_ERROR"}
    return (
        span["traceId"],
        span["spanId"],
        span.get("parentSpanId", ""),
        _text(span["name"]),
        span.get("kind", 1),
        service,
        datetime.fromtimestamp(start_ns / 1e9, UTC),
        (end_ns - start_ns) / 1e9,
        _text(status.get("message") or "Error") if is_failed else None,
        Jsonb(_attributes(span.get("attributes", ()))),
        Jsonb([link["traceId"] for link in span.get("links", ())]),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair["key"]: _value(pair["value"]) for pair in pairs}


def _value(value: Mapping[str, Any]) -> Any:
    kind: str
    content: Any
    kind, content = next(iter(value.items()), ("stringValue", ""))
    match kind:
        case "intValue":
            return int(content)
        case "arrayValue":
            return [_value(each) for each in content.get("values", ())]
        case "stringValue":
            return _text(content)
        case _:
            return content


def _text(value: str) -> str:
    """A text that PostgreSQL can store, shortened."""
    return value[:_MOST_TEXT].replace("\0", "")


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/v1/traces" or length > _MOST_BYTES:
                self.close_connection = True
                self._respond(HTTPStatus.NOT_FOUND if self.path != "/v1/traces" else HTTPStatus.CONTENT_TOO_LARGE)
                return
            try:
                is_taken = collector.take(json.loads(self.rfile.read(length)))
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
                self._respond(HTTPStatus.BAD_REQUEST)
            else:
                self._respond(HTTPStatus.OK if is_taken else HTTPStatus.SERVICE_UNAVAILABLE)

        def _respond(self, status: HTTPStatus) -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_given: object) -> None:
            pass

    return Handler
