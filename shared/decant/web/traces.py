"""Spans of requests and of their views.

Source: OpenTelemetry semantic conventions, HTTP server spans.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue

from decant.observability import correlation_id
from decant.tracing import Kind, Parent, Span, Tracer, current, parse_traceparent, parse_xray, span
from decant.web.wsgi import Response

__all__ = ["TRACED", "request_span"]

TRACED = "DECANT_TRACED"
"""Key of `app.config`: False leaves the requests of an app out of traces."""


@contextmanager
def request_span(tracer: Tracer, app: Flask, environ: dict[str, Any], response: Response) -> Iterator[None]:
    """Record a span for a request, and another one for its view."""
    if not app.config.get(TRACED, True):
        yield
        return
    _trace_views(app)
    method = environ["REQUEST_METHOD"]
    attributes = {
        "http.request.method": method,
        "url.path": environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"],
        "url.scheme": environ["wsgi.url_scheme"],
        "server.address": environ.get("SERVER_NAME"),
        "user_agent.original": environ.get("HTTP_USER_AGENT"),
        "decant.correlation_id": correlation_id(),
    }
    with tracer.start(method, Kind.SERVER, attributes, parent=_parent(environ)) as recorded:
        environ[_SPAN] = recorded
        yield
        status = response.status
        if status:
            recorded.set({"http.response.status_code": status})
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            recorded.fail(str(status), "The response has an error status.")


_SPAN = "decant.span"


def _parent(environ: dict[str, Any]) -> Parent | None:
    """The caller's span: that of `traceparent`, or else the trace of X-Ray's header or of Lambda's variable."""
    return (
        parse_traceparent(environ.get("HTTP_TRACEPARENT"))
        or parse_xray(environ.get("HTTP_X_AMZN_TRACE_ID"))
        or parse_xray(os.environ.get("_X_AMZN_TRACE_ID"))
    )


def _trace_views(app: Flask) -> None:
    """Record spans of the views of an app; once per app, at its first traced request."""
    if __name__ in app.extensions:
        return
    app.extensions[__name__] = True
    app.dispatch_request = _traced(app.dispatch_request)  # type: ignore[method-assign]  # the hook of Flask's tracers


def _traced(dispatch: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    def dispatch_request() -> ResponseReturnValue:
        whole, rule = request.environ.get(_SPAN), request.url_rule
        if current.get() is None or rule is None:
            return dispatch()
        if isinstance(whole, Span):
            whole.rename(f"{request.method} {rule.rule}")
            whole.set({"http.route": rule.rule})
        with span(f"view {request.endpoint}", {"code.function.name": request.endpoint}):
            try:
                return dispatch()
            except Exception as error:
                if _status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
                rejection = error
        raise rejection

    return dispatch_request


def _status(error: Exception) -> int:
    """Status of the response to an error: of Werkzeug's errors, of Decant's, and of all others."""
    status = getattr(error, "code", None) or getattr(error, "status", None)
    return status if isinstance(status, int) else HTTPStatus.INTERNAL_SERVER_ERROR
