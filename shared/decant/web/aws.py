"""The app as a Lambda function behind API Gateway (REST or HTTP), a function URL or a load balancer.

The event becomes an environ, and the app's answer the gateway's, with no ASGI in between. Mangum's way there costs a
third of a request, turns an answer that breaks half way into plain text, loses repeated headers, cookies and the stage,
and fails on a client's `Host` that has more than one colon.
"""

import io
import logging
from collections.abc import Callable
from typing import Any

from flask import Flask

from decant import loop, observability, runtime
from decant.asgi import flask_hooks
from decant.asgi.body import too_large
from decant.asgi.calling import add_body, call
from decant.config import settings
from decant.web import cors, problems
from decant.web.answers import WholeAnswer
from decant.web.correlation import HEADER, sane
from decant.web.events import body_of, environ_of

__all__ = ["lambda_handler"]

log = logging.getLogger(__name__)

_STRAY_TASKS_WITHIN_S = 1.0


def lambda_handler(app: Flask) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The function's handler: answers API Gateway's events with the app.

    Register error handlers on the app first: what has none answers `application/problem+json`.

    Raises:
        ConfigError: the settings are bad.
    """
    own = runtime.current()
    own.start()
    problems.install(app)
    cors.install(app)
    flask_hooks.bind(app)
    strays = loop.LeftoverTasks(within_s=_STRAY_TASKS_WITHIN_S)

    async def serve(environ: dict[str, Any], body: bytes) -> WholeAnswer:
        strays.begin()
        answer = await _answer(app, environ, body)
        await strays.finish()
        return answer

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        environ = environ_of(event)
        environ["aws.event"], environ["aws.context"] = event, context
        with own.active(), observability.correlate(identifier := _correlation_id(environ)):
            answer = own.run(serve(environ, body_of(event)))
        return answer.to(event, (HEADER, identifier))

    return handler


async def _answer(app: Flask, environ: dict[str, Any], body: bytes) -> WholeAnswer:
    """The app's, or the opaque 500 if it breaks, even half way."""
    limit_bytes = settings().body_limit_bytes
    add_body(environ, too_large(limit_bytes) if len(body) > limit_bytes else io.BytesIO(body), len(body))
    head_request = environ["REQUEST_METHOD"] == "HEAD"
    answer = WholeAnswer(head_request=head_request)
    try:
        await call(app, environ, answer)
    except Exception:
        log.exception("Request failed outside Flask's error handling")
        answer = WholeAnswer(head_request=head_request)
        problems.internal_error(answer)
    return answer


def _correlation_id(environ: dict[str, Any]) -> str:
    """The caller's id if it sent a sane one, else the gateway's, else Lambda's."""
    given = environ.get("HTTP_X_CORRELATION_ID", "")
    if sane(given):
        return str(given)
    gateways = environ["aws.event"]["requestContext"].get("requestId")
    return str(gateways or getattr(environ["aws.context"], "aws_request_id", ""))
