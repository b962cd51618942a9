"""The app as a Lambda function behind API Gateway (REST or HTTP), a function URL or a load balancer.

Mangum reads the event and writes the answer. Its cycle between the two is ours: Lambda takes an answer in one piece
anyhow, so one that breaks half way can still become a problem document, and what is held in one piece needs no queue.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from flask import Flask
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.types import Response

from decant import loop, observability
from decant.asgi import FlaskToAsgi
from decant.asgi.messages import Message, Scope
from decant.web import problems
from decant.web.correlation import HEADER, sane
from decant.web.events import HANDLERS

__all__ = ["lambda_handler"]

log = logging.getLogger(__name__)

_TEXT_MIME_TYPES = [*DEFAULT_TEXT_MIME_TYPES, "+json", "+xml", "application/x-ndjson", "application/yaml"]
_STRAY_TASKS_WITHIN_S = 1.0


def lambda_handler(app: Flask) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The function's handler: answers API Gateway's events with the app.

    Register error handlers on the app first: what has none answers `application/problem+json`.

    Raises:
        ConfigError: the settings are bad.
    """
    observability.configure()
    problems.install(app)
    loop.current()
    return _Gateway(FlaskToAsgi(app, view_threads=0), "off", custom_handlers=HANDLERS, text_mime_types=_TEXT_MIME_TYPES)


class _Gateway(Mangum):
    _resident: set[asyncio.Task[object]] | None = None
    """Tasks that the function's start left running; they may stay."""

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        request = self.infer(event, context)
        scope = request.scope
        with observability.correlate(_correlation_id(scope)):
            answer = loop.run(self._answer(scope, request.body))
        return request(answer)

    async def _answer(self, scope: Scope, body: bytes) -> Response:
        if self._resident is None:
            self._resident = loop.others()
        answer = _Answer(body)
        try:
            await self.app(scope, answer.receive, answer.send)
        except Exception:
            log.exception("Request failed outside Flask's error handling")
            answer = _Answer(body)
            for message in problems.internal_error():
                await answer.send(message)
        await loop.settle(self._resident, within_s=_STRAY_TASKS_WITHIN_S)
        return answer.whole()


class _Answer:
    """One request's ASGI messages, the answer's gathered in one piece."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._start: Message = {}
        self._chunks: list[bytes] = []

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._chunks.append(message["body"])

    def whole(self) -> Response:
        """The answer as Mangum takes it: headers are UTF-8 there, where HTTP and WSGI have Latin-1."""
        headers = [[name, value.decode("latin-1").encode()] for name, value in self._start["headers"]]
        headers.append([HEADER, (observability.correlation_id() or "").encode()])
        return {"status": self._start["status"], "headers": headers, "body": b"".join(self._chunks)}


def _correlation_id(scope: Scope) -> str:
    """The caller's id if it sent a sane one, else the gateway's, else Lambda's."""
    for name, value in scope["headers"]:
        if name == HEADER and sane(given := value.decode("latin-1")):
            return str(given)
    gateways = scope["aws.event"]["requestContext"].get("requestId")
    return str(gateways or getattr(scope["aws.context"], "aws_request_id", ""))
