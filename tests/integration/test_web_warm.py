"""Warm invocations share the engine and the HTTP client, because they share the loop."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from decant import db, http
from decant.web import lambda_handler
from tests.loading import ROOT, Context

INVOCATIONS = 300


@pytest.fixture
def upstream() -> Iterator[tuple[str, list[object]]]:
    """A service that keeps connections open: its address, and a list of the connections made to it."""
    connections: list[object] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment: two small ones cost 40 ms

        def setup(self) -> None:
            connections.append(self)
            super().setup()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", connections
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("database_url")
def test_many_invocations_use_one_connection_each(upstream: tuple[str, list[object]]) -> None:
    """One to PostgreSQL, one to the upstream, however many events come."""
    app, (url, connections) = Flask("warm"), upstream

    @app.get("/my/path")
    async def view() -> dict[str, Any]:
        async with db.session() as session:
            process = await session.scalar(text("SELECT pg_backend_pid()"))
        return {"process": process, "answer": await http.get_json(url)}

    handler = lambda_handler(app)
    event = json.loads((ROOT / "tests/aws_events/rest.json").read_text())

    answers = {handler(event, Context())["body"] for _ in range(INVOCATIONS)}

    assert len(answers) == 1
    assert len(connections) == 1
