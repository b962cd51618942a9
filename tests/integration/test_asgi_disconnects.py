"""A client that disconnects from a real server leaves no error in the log, and its request is torn down."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, request

from decant.web import asgi_app, stream
from tests.bridging import SERVERS, Server, serve

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def async_view(_started: Callable[[], None]) -> Any:
    """A view that waits for ever."""

    async def view() -> str:
        _started()
        await asyncio.Event().wait()
        return "never"

    return view


def sync_view(started: Callable[[], None]) -> Any:
    """A view that blocks its thread for a while."""

    def view() -> str:
        started()
        time.sleep(0.2)
        return "late"

    return view


def sync_stream(started: Callable[[], None]) -> Any:
    """A generator without end."""

    def chunks() -> Iterator[bytes]:
        while True:
            yield bytes(100_000)
            started()

    return chunks


def async_stream(started: Callable[[], None]) -> Any:
    """An asynchronous generator without end."""

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)
            started()
            await asyncio.sleep(0)

    async def view() -> Any:
        return stream(chunks())

    return view


def upload(started: Callable[[], None]) -> Any:
    """A view that reads its body."""

    def view() -> str:
        started()
        return str(len(request.data))

    return view


CASES = {
    "async view": (async_view, GET),
    "sync view": (sync_view, GET),
    "sync stream": (sync_stream, GET),
    "async stream": (async_stream, GET),
    "upload": (upload, b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf"),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("kept_logs")
async def test_disconnect_logs_no_error(server: Server, case: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither Decant nor the server nor asyncio logs an error, and the teardown runs where the request began."""
    make_view, message = CASES[case]
    app, begun, torn_down = Flask("left"), threading.Event(), threading.Event()
    app.add_url_rule("/", "view", make_view(begun.set), methods=["GET", "POST"])
    app.teardown_request(lambda _error: torn_down.set())

    async with serve(asgi_app(app), server) as address:
        _reader, writer = await asyncio.open_connection(urlsplit(address).hostname, urlsplit(address).port)
        writer.write(message)
        await writer.drain()
        if case == "upload":
            await asyncio.sleep(0.05)
        else:
            await asyncio.to_thread(begun.wait, 10)
        writer.transport.abort()
        if case != "upload":
            assert await asyncio.to_thread(torn_down.wait, 10)
        await asyncio.sleep(0.05)

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert begun.is_set() is (case != "upload")
