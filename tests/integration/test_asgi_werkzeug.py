"""Werkzeug's own server beside the bridge: what a Flask app sees through one, it sees through the other.

Random requests go byte for byte to both: Hypercorn with the bridge, and Werkzeug's server, which needs none.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from flask import Flask, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.serving import WSGIRequestHandler, make_server

from decant import loop
from decant.asgi import FlaskToAsgi
from tests.bridging import serve


def echo() -> Flask:
    """An app that responds with all that it received of a request."""
    app = Flask("echo")

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    @app.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    def view(path: str) -> dict[str, Any]:
        return {
            "method": request.method,
            "view's path": path,
            "path": request.path,
            "full path": request.full_path,
            "query": request.query_string.decode("latin-1"),
            "args": list(request.args.items(multi=True)),
            "headers": sorted((name.lower(), value) for name, value in request.headers if name.lower() in COMPARED),
            "cookies": sorted(request.cookies.items(multi=True)),
            "data": request.get_data().decode("latin-1"),
            "mimetype": request.mimetype,
            "uri": request.environ["REQUEST_URI"],
            "host": request.host,
            "scheme": request.scheme,
            "address": request.remote_addr,
            "protocol": request.environ["SERVER_PROTOCOL"],
        }

    # Werkzeug's routes match no line feed at the end of a path: such a request is recorded all the same.
    app.register_error_handler(404, lambda _error: view("not found"))
    return app


COMPARED = {"x-one", "x-two", "accept", "content-type", "user-agent", "cookie"}
"""Headers of the request's own; how its body travels is the server's business."""

token = st.text("abcXYZ019-._~", min_size=1, max_size=8)
encoded = st.binary(max_size=6).map(lambda raw: "".join(f"%{byte:02X}" for byte in raw))
segment = st.one_of(token, encoded, st.tuples(token, encoded).map("".join))
# Two slashes at the beginning would be a host to some, and Flask redirects those inside to one.
path = st.lists(segment.filter(bool), max_size=4).map(lambda parts: "/" + "/".join(parts))
query = st.lists(st.tuples(segment, segment).map("=".join), min_size=1, max_size=4).map(
    "&".join
)  # ASGI drops a lone "?"
value = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
header = st.tuples(st.sampled_from(["X-One", "x-two", "Accept", "Content-Type", "User-Agent"]), value)
cookies = st.lists(st.tuples(token, token).map("=".join), max_size=3).map("; ".join)


@dataclass(frozen=True)
class Sent:
    """A request as it goes over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    chunks: list[bytes]
    chunked: bool

    def to(self, host: str) -> bytes:
        """Its bytes."""
        framing = ("Transfer-Encoding", "chunked") if self.chunked else ("Content-Length", str(len(self.whole)))
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in [*self.headers, framing]]
        body = self.whole
        if self.chunked:
            pieces = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in self.chunks if chunk]
            body = b"".join([*pieces, b"0\r\n\r\n"])
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body

    @property
    def whole(self) -> bytes:
        """The body in one piece."""
        return b"".join(self.chunks)


requests = st.builds(
    Sent,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    target=st.one_of(path, st.tuples(path, query).map("?".join)),
    headers=st.tuples(st.lists(header, max_size=5), cookies).map(
        lambda both: [*both[0], *([("Cookie", both[1])] if both[1] else [])]
    ),
    chunks=st.lists(st.binary(max_size=40), max_size=4),
    chunked=st.booleans(),
)


class _Quiet(WSGIRequestHandler):
    """Werkzeug's own, without its log, and speaking HTTP/1.1."""

    protocol_version = "HTTP/1.1"

    def log(self, *_args: Any) -> None:
        """Log nothing."""


@contextmanager
def werkzeug_server(app: Flask) -> Iterator[str]:
    """The app behind Werkzeug's own server; yields its host and port."""
    server = make_server("127.0.0.1", 0, app, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def bridged_server() -> Iterator[str]:
    """The echo app behind Hypercorn and the bridge, on a loop in a thread of its own; yields its host and port."""
    address: list[str] = []
    started, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with serve(FlaskToAsgi(echo(), view_threads=0)) as url:
            address.append(urlsplit(url).netloc)
            started.set()
            await stop.wait()

    with asyncio.Runner() as runner:
        thread = threading.Thread(target=lambda: runner.run(run()))
        thread.start()
        started.wait(5)
        try:
            yield address[0]
        finally:
            runner.get_loop().call_soon_threadsafe(stop.set)
            thread.join()
    loop.current()


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[str, str]]:
    """Both servers."""
    with werkzeug_server(echo()) as plain, bridged_server() as bridged:
        yield plain, bridged


def seen(host: str, sent: Sent) -> dict[str, Any]:
    """What the app behind the host sees of the request, but for the port it came to."""
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        connection.sendall(sent.to("example.org"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    seen_there: dict[str, Any] = json.loads(body)
    return seen_there


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=requests)
def test_bridge_shows_the_app_what_werkzeugs_server_shows(hosts: tuple[str, str], sent: Sent) -> None:
    """Method, paths, query, headers, cookies and body, in any bytes and pieces."""
    plain, bridged = hosts

    assert seen(bridged, sent) == seen(plain, sent)


async def test_bridged_app_still_works_under_a_plain_wsgi_server() -> None:
    """There its async views run by Flask's own means, at the same time as through the bridge."""
    app = Flask("both")

    @app.get("/")
    async def view() -> str:
        await asyncio.sleep(0)
        return str(request.environ.get("SERVER_SOFTWARE", "bridged"))

    with werkzeug_server(app) as plain:
        async with serve(FlaskToAsgi(app)) as bridged, httpx.AsyncClient(timeout=60) as http:
            answers = [(await http.get(url)).text for url in (bridged, f"http://{plain}", bridged)]

    assert [answer.partition("/")[0] for answer in answers] == ["bridged", "Werkzeug", "bridged"]
