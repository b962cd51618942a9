"""The ASGI application around a Flask app."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from decant import loop
from decant.asgi import body, environ
from decant.asgi.flask_hooks import BridgedRequest, bind
from decant.asgi.response import Answer
from decant.asgi.waiting import resume
from decant.config import settings

__all__ = ["FlaskToAsgi"]

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]


class FlaskToAsgi:
    """An ASGI 3 application, http and lifespan, around any Flask app.

    Args:
        app: The app; it still works with Flask's test client and with a plain WSGI server.
        body_limit_bytes: Largest request body, else 413; None for the setting BODY_LIMIT_BYTES.
        view_threads: Most worker threads for sync views; 0 runs them on the event loop, which they then block.
    """

    def __init__(self, app: Flask, *, body_limit_bytes: int | None = None, view_threads: int = 40) -> None:
        self.app = app
        self._body_limit_bytes = body_limit_bytes
        self._threads = ThreadPoolExecutor(view_threads, "decant-view") if view_threads else None
        bind(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": "This application has no websockets."})
        else:
            raise ValueError(f"ASGI scope of unknown type {scope['type']!r}")

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start at once, for nothing is built before its first use; at the end close what was."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await loop.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._body_limit_bytes is None:
            self._body_limit_bytes = settings().body_limit_bytes
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        try:
            stream, length = await body.read(receive, declared, self._body_limit_bytes)
        except body.ClientDisconnected:
            return
        with stream:
            variables = environ.build(scope, multithread=self._threads is not None)
            variables["wsgi.input"] = stream
            variables["wsgi.input_terminated"] = True
            variables["CONTENT_LENGTH"] = str(length)
            answer = Answer(send, head_request=scope["method"] == "HEAD")
            request = BridgedRequest(lambda: _respond(self.app, variables, answer))
            request.threads = self._threads
            pending = request.switch()
            if not request.dead:
                await _wait(request, pending, None if "aws.event" in scope else receive, answer)


def _respond(app: Flask, variables: dict[str, Any], answer: Answer) -> None:
    """Call the app and pass on its answer; in the request's greenlet."""
    chunks = app(variables, answer.start)
    try:
        for chunk in chunks:
            answer.write(chunk)
            if answer.complete:
                break
        answer.finish()
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


async def _wait(request: BridgedRequest, pending: Any, receive: Receive | None, answer: Answer) -> None:
    """Go on with a request that waits, and cancel it when its client goes away."""
    if receive is None:  # Lambda: the client is API Gateway, and there is no word from it
        await resume(request, pending)
        return
    task = asyncio.current_task()
    disconnected = False

    async def watch() -> None:
        nonlocal disconnected
        while (await receive())["type"] != "http.disconnect":
            pass
        if not answer.complete and task is not None:
            disconnected = True
            task.cancel()

    watching = asyncio.create_task(watch())
    try:
        await resume(request, pending)
    except asyncio.CancelledError:
        if not disconnected or task is None or task.uncancel():
            raise
    finally:
        watching.cancel()
