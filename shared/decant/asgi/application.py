"""The ASGI application around a Flask app."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from flask import Flask
from greenlet import getcurrent

from decant import runtime
from decant._sync.greenlets import run_in_greenlet
from decant.asgi.request import ClientDisconnected, environ_of, read_body
from decant.config import check, load
from decant.observability import CORRELATION_HEADER, configure, correlate, correlation_id, is_valid_correlation_id
from decant.web.defaults import EXISTING, SAFE_METHODS, WebSettings, add_defaults, reject_cross_site, respond_with_error
from decant.web.flask_app import bind, call, is_requested
from decant.web.wsgi import AsgiResponse, add_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope, Scope

    from decant._sync.greenlets import AwaitingGreenlet

__all__ = ["FlaskToAsgi", "asgi_app"]

log = logging.getLogger(__name__)

_CORRELATION_HEADER = CORRELATION_HEADER.encode()
_TURN_S = 0.001
"""Seconds after which a response that never waits lets other requests run."""


def asgi_app(app: Flask, *, secure_defaults: bool = False) -> "FlaskToAsgi":
    """The app for Hypercorn, uvicorn or any other ASGI server.

    Every response carries a correlation id. Register error handlers on the app first: errors without a handler become
    `application/problem+json`.

    Args:
        app: Any Flask app.
        secure_defaults: Reject requests of other sites' pages with unsafe methods, and add headers that make browsers
            treat responses safely, as `lambda_handler` does; see `decant.web.defaults`.
    Raises:
        ConfigError: the settings are bad.
    """
    check()
    configure()
    add_defaults(app, check_responses=secure_defaults)
    return FlaskToAsgi(app, correlated=True, secure_defaults=secure_defaults)


class FlaskToAsgi:
    """An ASGI 3 application, http and lifespan, around any Flask app.

    An error that Flask does not handle is logged and becomes an opaque 500. After the headers were sent the response is
    left incomplete, so that the server drops the connection.

    Args:
        app: The app; it still works with Flask's test client and with a plain WSGI server.
        body_limit_bytes: Maximum size of a request body, else 413; None for the setting BODY_LIMIT_BYTES.
        view_threads: Number of worker threads for synchronous requests, shared by the applications of a runtime; 0 runs
            such requests on the event loop, which they block.
        correlated: Give every request a correlation id: in its log lines, problem details and `X-Correlation-Id`.
        secure_defaults: Reject unsafe requests of other sites' pages, and add headers that make browsers treat
            responses safely; see `decant.web.defaults`.
    """

    def __init__(
        self,
        app: Flask,
        *,
        body_limit_bytes: int | None = None,
        view_threads: int = 40,
        correlated: bool = False,
        secure_defaults: bool = False,
    ) -> None:
        self.app = app
        self._body_limit_bytes = body_limit_bytes
        self._view_threads = view_threads
        self._correlated = correlated
        self._secure_defaults = secure_defaults and EXISTING not in app.extensions
        self._runtime = runtime.current()
        bind(app)

    async def __call__(self, scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        """Serve an ASGI connection."""
        if scope["type"] == "http":
            with self._runtime.active():
                await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            with self._runtime.active():
                await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": None})  # not accepted: the server sends 403
        else:
            raise ValueError(f"ASGI scope of unknown type {scope['type']!r}")

    async def _live(self, receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        """Start at once, because nothing is built before its first use; at the end close the clients."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        try:
            await self._runtime.aclose()
        except ExceptionGroup as errors:
            await send({"type": "lifespan.shutdown.failed", "message": f"{errors}: {errors.exceptions!r}"})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: "HTTPScope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        identifier = _correlation_id(scope) if self._correlated else None
        respond = partial(
            AsgiResponse,
            head_request=scope["method"] == "HEAD",
            more_headers=[(_CORRELATION_HEADER, identifier.encode())] if identifier else (),
            https=scope["scheme"] == "https" if self._secure_defaults else None,
        )
        response = respond(_deliverer(send))
        with correlate(identifier) if identifier else nullcontext():
            try:
                await self._call(scope, receive, response)
            except ClientDisconnected:
                return
            except BaseException as error:
                if is_requested(error):
                    raise
                if response.headers_sent and not self._correlated:  # for the server to log
                    if isinstance(error, Exception):
                        raise
                    raise RuntimeError("the response was aborted after its headers were sent") from error
                log.exception("Request failed outside Flask's error handling")
                if not response.headers_sent:
                    await run_in_greenlet(partial(respond_with_error, respond(_deliverer(send)), error))

    async def _call(self, scope: "HTTPScope", receive: "ASGIReceiveCallable", response: AsgiResponse) -> None:
        limit_bytes = load(WebSettings).body_limit_bytes if self._body_limit_bytes is None else self._body_limit_bytes
        environ = environ_of(scope)
        if self._secure_defaults and scope["method"] not in SAFE_METHODS:
            reject_cross_site(self.app)
        stream, length = await read_body(scope, receive, limit_bytes)
        with stream:
            add_body(environ, stream, length)
            await call(self.app, environ, response, executor=self._threads(), receive=receive)

    def _threads(self) -> "_ViewThreads | None":
        if not self._view_threads:
            return None
        build = partial(_ViewThreads, self._view_threads, "decant-view")
        threads: _ViewThreads = self._runtime.get(_ViewThreads, build, partial(_ViewThreads.shutdown, wait=False))
        return threads


class _ViewThreads(ThreadPoolExecutor):
    """Worker threads of synchronous requests."""


def _deliverer(send: "ASGISendCallable") -> "Callable[..., None]":
    """A function that sends messages from the request's greenlet or thread."""
    turn_ends = time.monotonic() + _TURN_S

    async def deliver(*messages: "ASGISendEvent") -> None:
        for message in messages:
            await send(message)

    def emit(*messages: "ASGISendEvent") -> None:
        nonlocal turn_ends
        last = messages[-1]
        here: AwaitingGreenlet = getcurrent()  # type: ignore[assignment]
        sending = send(last) if len(messages) == 1 else deliver(*messages)
        if last["type"] == "http.response.body" and not last["more_body"]:
            here.post(sending)  # the thread serves the next request while the server sends
            return
        here.wait(sending)
        if time.monotonic() > turn_ends:  # a server that accepts everything at once must not starve other requests
            here.give_turn()
            turn_ends = time.monotonic() + _TURN_S

    return emit


def _correlation_id(scope: "HTTPScope") -> str:
    """The caller's id if it is valid, else the id of the surrounding code, else a new id."""
    for name, value in scope["headers"]:
        if name == _CORRELATION_HEADER and is_valid_correlation_id(given := value.decode("latin-1")):
            return given
    return correlation_id() or str(uuid4())
