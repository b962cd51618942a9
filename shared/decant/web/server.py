"""The app for an ASGI server: correlation ids on every answer, and an opaque 500 for what got past Flask."""

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from uuid import uuid4

from flask import Flask

from decant import observability
from decant.asgi import FlaskToAsgi
from decant.web import problems

__all__ = ["Asgi", "Message", "Receive", "Scope", "Send", "WebApplication", "asgi_app", "inbound_id"]

log = logging.getLogger(__name__)

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

_SANE = re.compile(r"[A-Za-z0-9._-]{1,128}")


def asgi_app(app: Flask) -> Asgi:
    """The app for Hypercorn, uvicorn or any other ASGI server."""
    observability.configure()
    problems.install(app)
    return _WithCorrelationId(WebApplication(FlaskToAsgi(app)))


def inbound_id(value: str | None) -> str | None:
    """The caller's own correlation id, if it is fit for headers, logs and URIs."""
    return value if value and _SANE.fullmatch(value) else None


class WebApplication:
    """Around the bridge: the correlation id as a header, and an opaque 500 when the answer has not begun.

    An error half way through an answer is logged, and the answer left unfinished: the server drops the connection.
    """

    def __init__(self, bridge: Asgi) -> None:
        self._bridge = bridge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._bridge(scope, receive, send)
            return
        begun = False

        async def send_with_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                identifier = observability.correlation_id()
                if identifier is not None:
                    message["headers"].append((b"x-correlation-id", identifier.encode()))
            await send(message)

        try:
            await self._bridge(scope, receive, send_with_id)
        except Exception:
            log.exception("Request failed outside Flask's error handling")
            if not begun:
                await _send_internal_error(send_with_id)


class _WithCorrelationId:
    def __init__(self, application: WebApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-correlation-id"), b"")
        with observability.correlate(inbound_id(given.decode("latin-1")) or str(uuid4())):
            await self._application(scope, receive, send)


async def _send_internal_error(send: Send) -> None:
    body = problems.details(500, "Internal Server Error")
    headers = [
        (b"content-type", problems.MIME_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
