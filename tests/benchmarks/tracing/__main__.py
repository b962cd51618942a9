"""Measure tracing: `make bench-tracing`.

Off: the library's own calls for an event, that is the choice of a tracer for the request and four look-ups of the
current span (a statement, an HTTP call, an enqueue, a step), against 2 µs. On: an event with a request and a view, and
the start of the exporter in a new process, against 5 ms.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flask import Flask

from decant import runtime, tracing
from decant.web import lambda_handler
from tests.benchmarks.progress import progress
from tests.loading import ROOT, Context

ROUNDS = 5
EVENTS = 2000
START = """
import sys, time
from flask import Flask
import decant.web, decant.db, decant.tasks
from decant import tracing
began = time.perf_counter()
tracer = tracing.tracer()
with tracer.start("GET", tracing.Kind.SERVER, {}):
    pass
print((time.perf_counter() - began) * 1000)
"""


class Receiver(BaseHTTPRequestHandler):
    """Accepts everything."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Accept a request."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_given: object) -> None:
        """Write nothing."""


def off() -> None:
    """The calls of an event while tracing is off."""
    tracing.tracer()
    for _ in range(4):
        tracing.current.get()


def seconds(work: Callable[[], object], count: int) -> float:
    """Seconds for a call."""
    began = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - began) / count


def event_handler() -> Callable[[], Any]:
    """Handles an event with a view that returns a text."""
    app = Flask("app")

    @app.get("/orders")
    async def orders() -> str:
        return "done"

    event = json.loads((ROOT / "tests/aws_events/rest.json").read_text()) | {"path": "/orders", "httpMethod": "GET"}
    handler = lambda_handler(app)
    return lambda: handler(event, Context())


def started_ms(url: str) -> float:
    """Time until the first span of a new process has ended, its modules imported, without the export."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}", "OTEL_EXPORTER_OTLP_ENDPOINT": url}
    done = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print the figures."""
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "bench"  # spans are exported at the end of every event
    off_us = min(seconds(off, 100_000) for _ in range(ROUNDS)) * 1e6
    handle = event_handler()
    plain_us = statistics.median(seconds(handle, EVENTS) for _ in progress(range(ROUNDS), "without spans")) * 1e6
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
    runtime.current().reload()
    traced_us = statistics.median(seconds(handle, EVENTS) for _ in progress(range(ROUNDS), "with spans")) * 1e6
    start_ms = statistics.median(started_ms(url) for _ in progress(range(ROUNDS), "starts"))
    server.shutdown()
    print(f"off     {off_us:8.2f} µs an event (at most 2)")
    print(f"on      {traced_us - plain_us:8.0f} µs an event more than {plain_us:.0f} µs, with its export to loopback")
    print(f"start   {start_ms:8.1f} ms (at most 5)")


main()
