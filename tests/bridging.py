"""How tests reach an application: in process through httpx, by single messages, and behind real ASGI servers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import hypercorn.asyncio
import uvicorn
from asgiref.testing import ApplicationCommunicator
from flask import Flask
from hypercorn.config import Config

from decant.asgi import FlaskToAsgi
from decant.asgi.application import asgi_app

__all__ = [
    "SERVERS",
    "Application",
    "Connection",
    "Message",
    "Server",
    "client",
    "communicator",
    "get",
    "scope",
    "serve",
    "serve_in_thread",
]

type Message = Any
"""An ASGI message; tests read members of several kinds."""
type Application = Callable[[Any, Any, Any], Awaitable[None]]

type Server = Literal["hypercorn", "uvicorn"]
SERVERS: tuple[Server, ...] = ("hypercorn", "uvicorn")


def client(app: Flask | Application, **options: Any) -> httpx.AsyncClient:
    """An HTTP client of the app in this process, through the bridge."""
    application: Any = FlaskToAsgi(app, **options) if isinstance(app, Flask) else app
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://testserver")


async def get(app: Flask, path: str = "/", **options: Any) -> httpx.Response:
    """GET a path of the app through the bridge."""
    async with client(app, **options) as http:
        return await http.get(path)


def communicator(application: Application, scope: dict[str, Any]) -> Any:
    """Asgiref's test client of an ASGI connection."""
    return ApplicationCommunicator(application, scope)  # type: ignore[no-untyped-call]  # it has no annotations


def scope(**changes: Any) -> Any:
    """The scope of an ASGI request, `GET /` without headers, with members replaced."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.1", 50000),
        "server": ("testserver", 80),
    } | changes


@dataclass
class Connection:
    """An ASGI connection that the test controls in the place of a server.

    Attributes:
        sent: Messages that the app has sent.
        accepts: Set when the app's `send` may return; a slow client clears it.
    """

    scope: Any = field(default_factory=scope)
    sent: list[Message] = field(default_factory=list)
    accepts: asyncio.Event = field(default_factory=asyncio.Event)
    _incoming: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.accepts.set()

    def send_body(self, body: bytes = b"", *, more: bool = False) -> None:
        """Send a chunk of the request's body, the last chunk unless there is more."""
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        """Close the connection from the client's side."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def run(self, application: Application) -> None:
        """Serve the connection."""
        await application(self.scope, self._incoming.get, self._accept)

    async def _accept(self, message: Message) -> None:
        self.sent.append(message)
        await self.accepts.wait()

    @property
    def body(self) -> bytes:
        """Body of the response so far."""
        return b"".join(message["body"] for message in self.sent if message["type"] == "http.response.body")


@asynccontextmanager
async def serve(application: Application, server: Server = "hypercorn", **options: Any) -> AsyncIterator[str]:
    """Serve the application on a free port of loopback with a real server; yields its address.

    Args:
        application: The ASGI application.
        server: Name of the server.
        options: Of the server, such as `root_path`.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        run = _hypercorn if server == "hypercorn" else _uvicorn
        async with run(application, listening, options):
            yield address


@contextmanager
def serve_in_thread(app: Flask) -> Iterator[str]:
    """Serve the app from an event loop in a thread, for tests that block, such as those with a browser."""
    application: Any = asgi_app(app, secure_defaults=True)
    ready, stop = Future[tuple[str, asyncio.AbstractEventLoop]](), asyncio.Event()

    async def run() -> None:
        async with serve(application, "uvicorn") as address:
            ready.set_result((address, asyncio.get_running_loop()))
            await stop.wait()

    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(lambda: asyncio.run(run()))
        serving.add_done_callback(lambda done: None if ready.done() else ready.set_exception(done.exception()))
        address, loop = ready.result()
        try:
            yield address
        finally:
            loop.call_soon_threadsafe(stop.set)
            serving.result()


@asynccontextmanager
async def _hypercorn(application: Any, listening: socket.socket, options: dict[str, Any]) -> AsyncIterator[None]:
    config = Config.from_mapping(bind=[f"fd://{listening.detach()}"], graceful_timeout=60, errorlog=None, **options)
    stop = asyncio.Event()
    serving = asyncio.create_task(hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait))
    try:
        yield
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def _uvicorn(application: Any, listening: socket.socket, options: dict[str, Any]) -> AsyncIterator[None]:
    config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=60, lifespan="on", **options)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await serving
