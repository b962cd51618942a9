"""The ASGI application around a Flask app."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from flask import Flask

from decant import loop
from decant.asgi import body, environ, flask_hooks
from decant.asgi.files import FileBlocks
from decant.asgi.messages import Receive, Scope, Send
from decant.asgi.response import Answer
from decant.asgi.threads import in_thread
from decant.asgi.waiting import OnLoop, await_
from decant.config import settings

__all__ = ["FlaskToAsgi"]


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
        flask_hooks.bind(app)

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
        await loop.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._body_limit_bytes is None:
            self._body_limit_bytes = settings().body_limit_bytes
        try:
            stream, length = await body.read(scope, receive, self._body_limit_bytes)
        except body.ClientDisconnected:
            return
        with stream:
            variables = environ.build(scope)
            variables["CONTENT_LENGTH"] = str(length)
            variables["wsgi.input"] = stream
            variables["wsgi.multithread"] = self._threads is not None
            variables["wsgi.file_wrapper"] = partial(FileBlocks, self._threads)
            variables[flask_hooks.THREADS] = self._threads
            answer = Answer(send, head_request=scope["method"] == "HEAD")
            request = OnLoop.take()
            pending = request.start(partial(_respond, self.app, variables, answer))
            if request.finished:
                request.park()
            elif "aws.event" in scope:  # its client is a gateway, which says no more
                await request.resume(pending)
                request.park()
            else:
                await _while_connected(request, pending, receive, answer)


def _respond(app: Callable[..., Iterable[bytes]], variables: dict[str, Any], answer: Answer) -> None:
    """Call the app and pass on its answer; in the request's greenlet."""
    given = chunks = app(variables, answer.start)
    try:
        threads = variables[flask_hooks.THREADS]
        if threads is not None and answer.is_stream:
            step = partial(next, iter(given), None)
            chunks = iter(lambda: await_(in_thread(threads, step)), None)
        for chunk in chunks:
            answer.write(chunk)
            if answer.complete:
                break
        answer.finish()
    finally:
        close = getattr(given, "close", None)
        if close is not None:
            close()


async def _while_connected(request: OnLoop, pending: Any, receive: Receive, answer: Answer) -> None:
    """Go on with a request that waits; when its client goes away, cancel it."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        if not answer.complete:
            gone = True
            task.cancel()

    watching = asyncio.create_task(watch())
    try:
        await request.resume(pending)
        request.park()
    except asyncio.CancelledError:
        if not gone or task.cancelling() > 1:
            raise
    finally:
        watching.cancel()
        if gone:
            task.uncancel()
