"""The ASGI application around a Flask app."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from decant import loop
from decant._sync.greenlets import await_
from decant.asgi import body, environ
from decant.asgi.calling import add_body, call
from decant.asgi.flask_hooks import bind
from decant.asgi.messages import Message, Receive, Scope, Send
from decant.asgi.response import Messages
from decant.config import settings

__all__ = ["FlaskToAsgi"]

_TURN_S = 0.001
"""How long one stream may go on before it is another's turn."""


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
            await send({"type": "websocket.close"})  # before it was accepted: the server answers 403
        else:
            raise ValueError(f"ASGI scope of unknown type {scope['type']!r}")

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start at once, for nothing is built before its first use; at the end close what was."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._threads is not None:
            self._threads.shutdown(wait=False)
        try:
            await loop.close()
        except ExceptionGroup as errors:
            await send({"type": "lifespan.shutdown.failed", "message": f"{errors}: {errors.exceptions!r}"})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._body_limit_bytes is None:
            self._body_limit_bytes = settings().body_limit_bytes
        try:
            stream, length = await body.read(scope, receive, self._body_limit_bytes)
        except body.ClientDisconnected:
            return

        turn_ends = time.monotonic() + _TURN_S

        def emit(message: Message) -> None:
            nonlocal turn_ends
            await_(send(message))
            if time.monotonic() > turn_ends:  # a server that never makes us wait must not starve other requests
                await_(asyncio.sleep(0))
                turn_ends = time.monotonic() + _TURN_S

        with stream:
            variables = environ.build(scope)
            add_body(variables, stream, length)
            answer = Messages(emit, head_request=scope["method"] == "HEAD")
            await call(self.app, variables, answer, threads=self._threads, receive=receive)
