"""The shared HTTP client against a real server on loopback."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from decant import http, loop, runtime
from decant.errors import UpstreamError, UpstreamTimeout
from tests.servers import close

type Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve(connection: Connection) -> AsyncIterator[str]:
    """Run a server that handles each connection so; gives its address. At the end no connection is left."""
    handlers: set[asyncio.Task[Any] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError):
            await connection(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await close(server)
        await asyncio.gather(*filter(None, handlers))
        await server.wait_closed()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes, status: str) -> None:
    """Read one request and answer it."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def keeps_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with the client's port, which distinguishes its connections."""
    try:
        while True:
            await answer(reader, writer, json.dumps(writer.get_extra_info("peername")[1]).encode(), "200 OK")
    except asyncio.IncompleteReadError:
        writer.close()


async def closes_after_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as if the connection stayed open, and close it at the next request: what a freeze looks like."""
    await answer(reader, writer, json.dumps(writer.get_extra_info("peername")[1]).encode(), "200 OK")
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def never_answers(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Wait until the client gives up."""
    await reader.read()


async def trickles(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a byte of the answer now and then, so that no single wait is ever long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.02)


async def answers_no_json(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a page."""
    await answer(reader, writer, b"<html>", "200 OK")
    writer.close()


async def answers_404(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer that there is nothing."""
    await answer(reader, writer, b"{}", "404 Not Found")
    writer.close()


async def test_client_keeps_its_connection() -> None:
    """One request after another uses the same connection."""
    async with serve(keeps_open) as url:
        ports = {await http.get_json(url) for _ in range(5)}

    assert len(ports) == 1


async def test_client_sends_again_when_the_connection_had_died() -> None:
    """A GET on a connection that died while frozen is answered all the same."""
    async with serve(closes_after_one) as url:
        ports = [await http.get_json(url) for _ in range(3)]

    assert len(set(ports)) == 3


async def test_client_does_not_send_a_post_again() -> None:
    """A POST may have been executed, so the caller handles the error."""
    async with serve(closes_after_one) as url:
        await http.client().post(url)

        with pytest.raises(httpx.TransportError):
            await http.client().post(url)


@pytest.mark.parametrize("connection", [never_answers, trickles])
async def test_get_json_gives_up_in_time(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is silent, or endlessly slow, is a time-out."""
    monkeypatch.setenv("HTTP_TIMEOUT_S", "0.2")
    runtime.current().reload()

    async with serve(connection) as url:
        with pytest.raises(UpstreamTimeout):
            await http.get_json(url)


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (answers_no_json, "JSON"),  # a wrong answer
        (answers_404, "404"),  # an error status
    ],
)
async def test_get_json_describes_a_wrong_response(connection: Connection, message: str) -> None:
    """The error names what the other service did."""
    async with serve(connection) as url:
        with pytest.raises(UpstreamError, match=message):
            await http.get_json(url)


async def test_get_json_says_when_nobody_answers() -> None:
    """A port that nothing listens on is an error of the other service."""
    async with serve(keeps_open) as url:
        pass

    with pytest.raises(UpstreamError, match="reached"):
        await http.get_json(url)


async def test_close_lets_the_client_be_built_anew() -> None:
    """After a close the next use works."""
    async with serve(keeps_open) as url:
        before = http.client()
        await http.get_json(url)
        await loop.close()

        assert await http.get_json(url)
        assert http.client() is not before


HOSTILE = {
    "NaN": b'{"value": NaN}',
    "infinity": b'{"value": Infinity}',
    "a lone surrogate": b'{"value": "\\ud800"}',
    "invalid UTF-8": b'{"value": "\xff"}',
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "nothing": b"",
    "too large": b'"' + b"x" * 20_000_000 + b'"',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
async def test_get_json_rejects_hostile_documents(body: bytes, *, compressed: bool) -> None:
    """No document of another service causes another error or exhausts the memory."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = gzip.compress(body) if compressed else body
        await answer(reader, writer, sent, "200 OK\r\nContent-Encoding: gzip" if compressed else "200 OK")
        writer.close()

    async with serve(respond) as url:
        with pytest.raises(UpstreamError):
            await http.get_json(url)
