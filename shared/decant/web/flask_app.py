"""Prepare a Flask app: await on the event loop, problem details for its errors, CORS headers, logs and metrics.

Source: RFC 9457 (problem details), Fetch Standard (CORS protocol).
"""

import json
import logging
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from http import HTTPStatus
from inspect import iscoroutinefunction, unwrap
from typing import Any

import flask.globals
from flask import Flask, Response, appcontext_pushed, request, request_finished
from flask.logging import default_handler
from greenlet import getcurrent
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, Map

from decant import metrics
from decant._sync.greenlets import AwaitingGreenlet
from decant.config import load
from decant.errors import DecantError, InvalidInput, ServiceUnavailable
from decant.observability import correlation_id
from decant.web import browsers
from decant.web import response as wsgi_response
from decant.web.environ import TooLargeBody
from decant.web.settings import WebSettings

__all__ = [
    "bind",
    "observe",
    "reject_large_bodies",
    "respond_with_error",
    "runs_on_loop",
    "use_problem_details",
    "without_flask_contexts",
]

log = logging.getLogger(__name__)

_MIME_TYPE = "application/problem+json"

_NO_ROUTE = "unmatched"
"""Route, in metrics, of requests without a URL rule and of errors outside of Flask: metrics cannot have every path."""


def bind(app: Flask) -> None:
    """Let the app await on the running loop inside of requests; once per app.

    Outside of a request that Decant serves (Flask's test client, a plain WSGI server) the app's own way remains.
    """
    if __name__ in app.extensions:
        return
    app.extensions[__name__] = True
    app.async_to_sync = _awaiting(app.async_to_sync)  # type: ignore[method-assign]  # Flask's documented hook
    if _has_middleware(app):  # which may call other apps
        appcontext_pushed.connect(bind)


def reject_large_bodies(app: Flask) -> None:
    """Respond 413 to a request with a `TooLargeBody` before a view runs; once per app.

    It is called at the first such body: the hook would cost every request 1 µs.
    """
    hooks = app.before_request_funcs.setdefault(None, [])
    if _reject_large_body not in hooks:
        hooks.insert(0, _reject_large_body)


def _reject_large_body() -> None:
    body = request.environ.get("wsgi.input")
    if isinstance(body, TooLargeBody):
        raise body.error


type _AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


def _awaiting(apps_own: Callable[[_AsyncFunction], Callable[..., Any]]) -> Callable[..., Any]:
    def async_to_sync(function: _AsyncFunction) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            here = getcurrent()
            if isinstance(here, AwaitingGreenlet):
                return here.wait(function(*args, **kwargs))
            return apps_own(function)(*args, **kwargs)

        return call

    return async_to_sync


def runs_on_loop(app: Flask, environ: dict[str, Any]) -> bool:
    """Whether the request's URL rule has an async view; False where it cannot be known before the app is called.

    It cannot be known for a wrapped `wsgi_app`, whose middleware may call another app, for a request without a rule,
    and where a URL converter of the app runs code: it may need the request's context or thread. Werkzeug's `ProxyFix`
    changes neither path nor method, and is ignored.
    """
    if _has_middleware(app) or any(map(_converts_values, app.url_map.converters.values())):
        return False
    try:
        adapter = app.create_url_adapter(app.request_class(environ))
        endpoint = adapter.match()[0] if adapter is not None else ""
    except HTTPException:  # no rule
        return False
    return _is_async(app.view_functions.get(endpoint))


def _has_middleware(app: Flask) -> bool:
    called: Any = app.wsgi_app
    while isinstance(called, ProxyFix):
        called = called.app
    return getattr(called, "__func__", None) is not Flask.wsgi_app


def _converts_values(converter: type[BaseConverter]) -> bool:
    """Whether a converter of the app runs code of its own for a request."""
    return converter.to_python is not BaseConverter.to_python and converter not in _WERKZEUGS_CONVERTERS


_WERKZEUGS_CONVERTERS = frozenset(Map.default_converters.values())


def _is_async(view: Callable[..., Any] | None) -> bool:
    """Whether the view that was written is async, under any decorators and class."""
    if view is None:
        return False
    if view_class := getattr(view, "view_class", None):
        methods = ("dispatch_request", *(name.lower() for name in view_class.methods or ()))
        return any(iscoroutinefunction(getattr(view_class, method, None)) for method in methods)
    return iscoroutinefunction(unwrap(view))


_FLASK_CONTEXTS = frozenset(value for value in vars(flask.globals).values() if isinstance(value, ContextVar))
"""Where Flask keeps the current app and request; their number and names differ from version to version."""


def without_flask_contexts() -> Context | None:
    """A copy of this context without Flask contexts, such as a context pushed at import; None when it has none."""
    for variable in _FLASK_CONTEXTS:
        if variable.get(None) is not None:
            break
    else:
        return None
    context = Context()
    for variable, value in copy_context().items():
        if variable not in _FLASK_CONTEXTS:
            context.run(variable.set, value)
    return context


def observe(app: Flask) -> None:
    """Leave the app's log lines to the handlers of the root logger, and count responses when metrics are on.

    Responses of all apps are counted, because an app can be mounted in another.

    Raises:
        ConfigError: the settings are bad.
    """
    app.logger.removeHandler(default_handler)  # which prints every line a second time
    if metrics.are_enabled():
        request_finished.connect(_count_response)


def _count_response(_app: Flask, response: Response) -> None:
    route = f"{request.method} {request.url_rule.rule}" if request.url_rule else _NO_ROUTE
    metrics.record({"Requests": 1}, route=route, status=str(response.status_code))


def use_problem_details(app: Flask) -> None:
    """Respond to errors with problem details, and with CORS headers when CORS_ORIGIN is set; once per app.

    The app's own error handlers take precedence. Register them first.

    Raises:
        ConfigError: the settings are bad.
    """
    settings = load(WebSettings)
    if WebSettings.__name__ in app.extensions:
        return
    app.extensions[WebSettings.__name__] = settings
    own = app.error_handler_spec[None][None]
    if Exception not in own:
        if HTTPException not in own:
            app.register_error_handler(HTTPException, _http_error)
        if DecantError not in own:
            app.register_error_handler(DecantError, _decant_error)
    if settings.cors_origin is not None:
        app.after_request(browsers.add_cors_headers)


def respond_with_error(response: wsgi_response.Response, error: BaseException) -> None:
    """Respond to an error that Flask did not handle: an opaque 500, or its own status for an HTTP exception."""
    status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, None
    if isinstance(error, HTTPException) and error.code is not None:
        status, detail = HTTPStatus(error.code), error.description
    body = _document(status, status.phrase, detail)
    headers = [("Content-Type", _MIME_TYPE), ("Content-Length", str(len(body))), *browsers.cors_headers()]
    metrics.record({"Requests": 1}, route=_NO_ROUTE, status=str(status.value))
    response.start(f"{status.value} {status.phrase}", headers)
    response.write(body)
    response.finish()


def _document(status: int, title: str, detail: str | None = None, **members: Any) -> bytes:
    """The problem document, with the request's correlation id as its instance."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    document |= {"instance": correlation_id()} | members
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def _http_error(error: HTTPException) -> Any:
    """Respond to an HTTP exception; Flask logs every unknown error and passes it here as a 500.

    An exception that makes its own response or body keeps it.
    """
    own = type(error)
    if error.code is None or error.response is not None:
        return error.get_response()
    if own.get_response is not HTTPException.get_response or own.get_body is not HTTPException.get_body:
        return error
    detail = None if error.description is None else str(error.description)
    response = Response(_document(error.code, error.name, detail), error.code, mimetype=_MIME_TYPE)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers.add(name, value)
    return response


def _decant_error(error: DecantError) -> Response:
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error  # its message is not for the client: Flask logs it and responds as to any unknown error
    if error.status > HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("Responded %d: %s", error.status, error, exc_info=error.__cause__)
    members: dict[str, Any] = {}
    if isinstance(error, InvalidInput):
        members["errors"] = [{"field": path, "detail": problem} for path, problem in error.fields.items()]
    document = _document(error.status, error.title, str(error), **members)
    response = Response(document, error.status, mimetype=_MIME_TYPE)
    if isinstance(error, ServiceUnavailable):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response
