"""The app as a Lambda function behind API Gateway (REST or HTTP), a function URL or a load balancer.

The event becomes an environ directly, with no ASGI in between, and Mangum's handlers make the gateway's answer of the
app's. Mangum's own way there costs a quarter of a request, turns an answer that breaks half way into plain text, and
loses repeated headers, cookies and the stage.
"""

import io
import logging
from collections.abc import Callable
from typing import Any

from flask import Flask
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.handlers import ALB, APIGateway, HTTPGateway
from mangum.types import LambdaConfig

from decant import loop, observability, snapstart
from decant.asgi import flask_hooks
from decant.asgi.body import too_large
from decant.asgi.calling import add_body, call
from decant.asgi.messages import Message
from decant.config import settings
from decant.web import cors, problems
from decant.web.correlation import HEADER, sane
from decant.web.events import body_of, environ_of

__all__ = ["lambda_handler"]

log = logging.getLogger(__name__)

_STRAY_TASKS_WITHIN_S = 1.0
_CONFIG = LambdaConfig(
    api_gateway_base_path="/",
    text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "+json", "+xml", "application/x-ndjson", "application/yaml"],
    exclude_headers=[],
)


def lambda_handler(app: Flask) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The function's handler: answers API Gateway's events with the app.

    Register error handlers on the app first: what has none answers `application/problem+json`.

    Raises:
        ConfigError: the settings are bad.
    """
    observability.configure()
    problems.install(app)
    cors.install(app)
    flask_hooks.bind(app)
    snapstart.install()
    loop.current()
    strays = loop.Strays(within_s=_STRAY_TASKS_WITHIN_S)

    async def serve(environ: dict[str, Any], body: bytes) -> list[Message]:
        strays.begin()
        messages = await _messages(app, environ, body)
        await strays.finish()
        return messages

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        environ = environ_of(event)
        environ["aws.event"], environ["aws.context"] = event, context
        with observability.correlate(identifier := _correlation_id(environ)):
            messages = loop.run(serve(environ, body_of(event)))
        return _answer(event, context, messages, identifier)

    return handler


async def _messages(app: Flask, environ: dict[str, Any], body: bytes) -> list[Message]:
    """The app's whole answer, or the opaque 500 if it breaks, even half way."""
    limit_bytes = settings().body_limit_bytes
    add_body(environ, too_large(limit_bytes) if len(body) > limit_bytes else io.BytesIO(body), len(body))
    messages: list[Message] = []
    try:
        await call(app, environ, messages.append)
    except Exception:
        log.exception("Request failed outside Flask's error handling")
        return problems.internal_error()
    return messages


def _answer(event: dict[str, Any], context: Any, messages: list[Message], identifier: str) -> dict[str, Any]:
    """The answer in the event's format; headers are UTF-8 for Mangum, where HTTP and WSGI have Latin-1."""
    start = messages[0]
    headers = [
        [name, value if value.isascii() else value.decode("latin-1").encode()] for name, value in start["headers"]
    ]
    headers.append([HEADER, identifier.encode()])
    body = b"".join([message["body"] for message in messages[1:]])
    request = event["requestContext"]
    kind = HTTPGateway if "http" in request else ALB if "elb" in request else APIGateway
    return kind(event, context, _CONFIG)({"status": start["status"], "headers": headers, "body": body})


def _correlation_id(environ: dict[str, Any]) -> str:
    """The caller's id if it sent a sane one, else the gateway's, else Lambda's."""
    given = environ.get("HTTP_X_CORRELATION_ID", "")
    if sane(given):
        return str(given)
    gateways = environ["aws.event"]["requestContext"].get("requestId")
    return str(gateways or getattr(environ["aws.context"], "aws_request_id", ""))
