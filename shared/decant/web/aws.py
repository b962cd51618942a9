"""The app as a Lambda function behind API Gateway (REST or HTTP), a function URL or a load balancer."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from flask import Flask
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from decant import loop, observability
from decant.asgi import FlaskToAsgi
from decant.web import problems
from decant.web.base_path import client_address, split
from decant.web.server import Asgi, Message, Receive, Scope, Send, WebApplication, inbound_id

__all__ = ["lambda_handler"]

_TEXT_MIME_TYPES = [*DEFAULT_TEXT_MIME_TYPES, "+json", "+xml", "application/x-ndjson", "application/yaml"]
_STRAY_TASKS_WITHIN_S = 1.0


def lambda_handler(app: Flask) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The function's handler: answers API Gateway's events with the app.

    Register error handlers on the app first: what has none answers `application/problem+json`.

    Raises:
        ConfigError: the settings are bad.
    """
    observability.configure()
    logging.getLogger("mangum").setLevel(logging.WARNING)  # a line for each request is the gateway's access log
    problems.install(app)
    loop.current()
    application = WebApplication(_InOnePiece(FlaskToAsgi(app, view_threads=0)))
    gateway = Mangum(application, lifespan="off", text_mime_types=_TEXT_MIME_TYPES)

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        with observability.correlate(_correlation_id(event, context)):
            resident = asyncio.all_tasks(loop.current())
            try:
                return gateway(event, context)
            finally:
                loop.settle(resident, within_s=_STRAY_TASKS_WITHIN_S)

    return handler


class _InOnePiece:
    """Holds the answer back until it is whole, as Lambda does anyhow: one that breaks half way becomes a 500."""

    def __init__(self, bridge: Asgi) -> None:
        self._bridge = bridge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        event = scope["aws.event"]
        scope["root_path"], scope["path"] = split(event, scope["path"])
        scope["client"] = client_address(event, scope["client"])
        messages: list[Message] = []

        async def hold(message: Message) -> None:
            messages.append(message)

        await self._bridge(scope, receive, hold)
        for message in messages:
            await send(message)


def _correlation_id(event: dict[str, Any], context: Any) -> str | None:
    """The caller's id if it sent a sane one, else the gateway's, else Lambda's."""
    headers = event.get("headers") or {}
    given = next((value for name, value in headers.items() if name.lower() == "x-correlation-id"), None)
    gateways = event.get("requestContext", {}).get("requestId")
    return inbound_id(given) or gateways or getattr(context, "aws_request_id", None)
