"""The app for an ASGI server: a correlation id on every answer, and an opaque 500 for what got past Flask."""

import logging
from collections.abc import Awaitable
from uuid import uuid4

from flask import Flask

from decant import observability, runtime
from decant.asgi import FlaskToAsgi
from decant.asgi.messages import Application, Message, Receive, Scope, Send
from decant.asgi.response import Messages
from decant.runtime import Runtime
from decant.web import cors, problems
from decant.web.correlation import HEADER, sane

__all__ = ["asgi_app"]

log = logging.getLogger(__name__)

_HEADER = HEADER.encode()


def asgi_app(app: Flask) -> Application:
    """The app for Hypercorn, uvicorn or any other ASGI server.

    Register error handlers on the app first: what has none answers `application/problem+json`.

    Raises:
        ConfigError: the settings are bad.
    """
    observability.configure()
    problems.install(app)
    cors.install(app)
    return _Correlated(FlaskToAsgi(app), runtime.current())


class _Correlated:
    """Around the bridge.

    An error half way through an answer is logged, and the answer left unfinished: the server drops the connection.
    """

    def __init__(self, bridge: FlaskToAsgi, own: Runtime) -> None:
        self._bridge = bridge
        self._runtime = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            with self._runtime.active():
                await self._bridge(scope, receive, send)
            return
        with self._runtime.active(), observability.correlate(_identifier(scope)):
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"].append((_HEADER, (observability.correlation_id() or "").encode()))
            return send(message)

        try:
            await self._bridge(scope, receive, send_with_id)
        except Exception:
            log.exception("Request failed outside Flask's error handling")
            if not begun:
                messages: list[Message] = []
                problems.internal_error(Messages(messages.append, head_request=scope["method"] == "HEAD"))
                for message in messages:
                    await send_with_id(message)


def _identifier(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER and sane(given := value.decode("latin-1")):
            return str(given)
    return str(uuid4())
