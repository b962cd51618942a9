"""The bridge behind real servers: what goes over the wire, and what does not pile up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit
from wsgiref.validate import validator

import httpx
import pytest
from flask import Flask, Response, request, url_for

from decant import loop
from decant.asgi import FlaskToAsgi, stream
from decant.web import asgi_app
from tests.bridging import SERVERS, Server, serve

pytestmark = pytest.mark.parametrize("server", SERVERS)


def echoing(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """A WSGI app that answers with the body it got; not Flask, whose reading the validator does not allow."""
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    length = [] if environ["REQUEST_METHOD"] == "HEAD" else [("Content-Length", str(len(body)))]
    start_response("200 OK", [("Content-Type", "application/octet-stream"), *length])
    return iter([] if environ["REQUEST_METHOD"] == "HEAD" else [body])


async def in_chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    """A body of unknown length."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_real_traffic_passes_the_validator(server: Server, method: str) -> None:
    """The checker of wsgiref accepts the environ and the response, for any body."""
    app = Flask("validated")
    app.wsgi_app = validator(echoing)  # type: ignore[assignment,method-assign]
    headers = [("X-Twice", "1"), ("X-Twice", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")]

    async with serve(FlaskToAsgi(app, view_threads=0), server) as url, httpx.AsyncClient(timeout=60) as http:
        for body in (None, b"", b"whole", in_chunks(b"in ", b"", b"chunks")):
            answer = await http.request(method, f"{url}/caf%C3%A9%20x?q=%20%C3%A9", content=body, headers=headers)

            assert answer.status_code == 200


async def test_connection_serves_one_request_after_another(server: Server) -> None:
    """Answers with a length, without one, and with no body leave the connection in order."""
    app = Flask("kept")
    app.add_url_rule("/length", "length", lambda: "four")
    app.add_url_rule("/stream", "stream", lambda: iter(["in ", "pieces"]))
    app.add_url_rule("/empty", "empty", lambda: ("", 204))
    app.add_url_rule("/unchanged", "unchanged", lambda: ("ignored", 304))
    limits = httpx.Limits(max_connections=1)

    async with serve(FlaskToAsgi(app), server) as url, httpx.AsyncClient(limits=limits, timeout=60) as http:
        answers = [await http.get(url + path) for path in ("/length", "/stream", "/empty", "/unchanged", "/length")]
        head = await http.head(f"{url}/length")
        ports = {answer.extensions["network_stream"].get_extra_info("client_addr")[1] for answer in [*answers, head]}

    assert [answer.text for answer in answers] == ["four", "in pieces", "", "", "four"]
    assert (head.headers["content-length"], head.content) == ("4", b"")
    assert len(ports) == 1


async def test_several_cookies_and_links_arrive(server: Server) -> None:
    """Behind a prefix that the server is configured with."""
    app = Flask("linked")

    @app.get("/here")
    async def here() -> Response:
        response = Response(url_for("here", _external=True))
        response.set_cookie("one", "1")
        response.set_cookie("two", "2")
        return response

    async with serve(FlaskToAsgi(app), server, root_path="/shop") as url, httpx.AsyncClient(timeout=60) as http:
        answer = await http.get(f"{url}/here")

    assert answer.text == f"{url}/shop/here"
    assert len(answer.headers.get_list("set-cookie")) == 2


async def test_client_that_leaves_cancels_its_view(server: Server) -> None:
    """Closing the connection is enough; teardown still runs."""
    app = Flask("left")
    waiting, torn = asyncio.Event(), asyncio.Event()

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        if isinstance(error, asyncio.CancelledError):
            torn.set()

    @app.get("/")
    async def view() -> str:
        waiting.set()
        await asyncio.sleep(60)
        return "never"

    async with serve(FlaskToAsgi(app), server) as url:
        _, writer = await asyncio.open_connection(*urlsplit(url).netloc.split(":"))
        writer.write(b"GET / HTTP/1.1\r\nHost: left\r\n\r\n")
        async with asyncio.timeout(60):
            await waiting.wait()
            writer.close()
            await torn.wait()

    assert torn.is_set()


async def test_slow_client_holds_the_stream_back(server: Server) -> None:
    """Of a gigabyte, no more is made than the client takes and the buffers on the way hold."""
    app, made_bytes = Flask("slow"), 0
    chunk = b"x" * 65536

    def gigabyte() -> Iterator[bytes]:
        nonlocal made_bytes
        for _ in range(2**30 // len(chunk)):
            made_bytes += len(chunk)
            yield chunk

    app.add_url_rule("/", "view", gigabyte)

    async with serve(FlaskToAsgi(app), server) as url:
        reader, writer = await asyncio.open_connection(*urlsplit(url).netloc.split(":"), limit=65536)
        writer.write(b"GET / HTTP/1.1\r\nHost: slow\r\n\r\n")
        await reader.readexactly(10_000_000)
        await asyncio.sleep(0.2)
        made_while_slow = made_bytes
        writer.close()

    assert made_while_slow < 100_000_000  # the buffers of the kernel and of the client hold some of it


@pytest.mark.parametrize("declared", [True, False], ids=["of declared length", "in chunks"])
async def test_upload_over_the_limit_is_answered_413(server: Server, *, declared: bool) -> None:
    """The client gets to read its answer, and the server goes on."""
    app = Flask("limited")
    app.add_url_rule("/", "view", lambda: str(len(request.data)), methods=["POST"])
    body = b"x" * 3_000_000

    async with serve(FlaskToAsgi(app, body_limit_bytes=100_000), server) as url, httpx.AsyncClient(timeout=60) as http:
        content = body if declared else in_chunks(*[body[:30_000]] * 100)
        answer = await http.post(url, content=content)
        after = await http.post(url, content=b"small enough")

    assert (answer.status_code, after.text) == (413, "12")


async def test_websocket_is_answered_403(server: Server) -> None:
    """A handshake is refused, not left open."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with serve(FlaskToAsgi(Flask("http")), server) as url, httpx.AsyncClient(timeout=60) as http:
        answer = await http.get(url, headers=headers)

    assert answer.status_code == 403


async def test_stream_that_breaks_is_no_whole_answer(server: Server) -> None:
    """The connection is dropped: the client cannot take half for all."""
    app = Flask("broken")

    async def half() -> AsyncIterator[str]:
        yield "half"
        await asyncio.sleep(0)
        raise KeyError("secret")

    @app.get("/")
    async def view() -> Any:
        return stream(half())

    async with serve(asgi_app(app), server) as url, httpx.AsyncClient(timeout=60) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(url)


async def test_blocking_view_does_not_stall_others(server: Server) -> None:
    """Others get their responses while it waits."""
    app, called, released = Flask("blocked"), threading.Event(), threading.Event()

    @app.get("/sync")
    def wait() -> str:
        called.set()
        return str(released.wait(timeout=60))

    @app.get("/async")
    async def view() -> str:
        await asyncio.sleep(0)
        return "quick"

    async with serve(FlaskToAsgi(app), server) as url, httpx.AsyncClient(timeout=60) as http:
        blocked = asyncio.create_task(http.get(f"{url}/sync"))
        await asyncio.to_thread(called.wait, 60)
        await asyncio.gather(*(http.get(f"{url}/async") for _ in range(10)))
        released.set()

        assert (await blocked).text == "True"


async def test_shutdown_closes_the_shared_clients(server: Server) -> None:
    """The server's lifespan is the process's end."""
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    loop.on_close(close)
    async with serve(FlaskToAsgi(Flask("closed")), server):
        closed_before = closed.is_set()

    assert (closed_before, closed.is_set()) == (False, True)
