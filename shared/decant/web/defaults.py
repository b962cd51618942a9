"""What Decant adds to a Flask app: problem details, rules for requests of web pages, log lines and metrics.

    @app.post("/login/callback")
    @allow_cross_site("the identity provider's page posts its form here")
    async def callback(): ...

`lambda_handler(app)` and `make serve` apply the rules for web pages to the functions of a bundle. `asgi_app` does not:
it serves any app unchanged.

Source: RFC 9457 (problem details), Fetch Standard (CORS protocol), Fetch Metadata Request Headers (`Sec-Fetch-Site`),
RFC 6454 (Origin).
"""

import json
import logging
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request, request_finished
from flask.logging import default_handler
from werkzeug.exceptions import Forbidden, HTTPException, UnsupportedMediaType

from decant import metrics
from decant.config import count, load, setting, settings_group, text
from decant.errors import DecantError, InvalidInput, ServiceUnavailable
from decant.observability import correlation_id
from decant.web import wsgi
from decant.web.responses import accept_structs

__all__ = [
    "EXISTING",
    "SAFE_METHODS",
    "WebSettings",
    "add_defaults",
    "allow_cross_site",
    "reject_cross_site",
    "respond_with_error",
]

log = logging.getLogger(__name__)

_MIME_TYPE = "application/problem+json"

_NO_ROUTE = "unmatched"
"""Route, in metrics, of requests without a URL rule and of errors outside of Flask: metrics cannot have every path."""

EXISTING = "decant.web.existing"
"""Extension of applications to which these defaults do not apply; see `decant.web.existing`."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_REASON = "decant_cross_site"
_MAX_AGE_S = 600
_ALLOWED_HEADERS = "authorization, content-type, idempotency-key, if-match, if-none-match, x-api-key, x-correlation-id"
_EXPOSED_HEADERS = "etag, idempotency-replayed, link, location, retry-after, www-authenticate, x-correlation-id"


def _count_or_none(value: str) -> int:
    """A whole number; 0 turns off what it limits."""
    return 0 if value == "0" else count(value)


@settings_group
class WebSettings:
    """Settings of the web adapters."""

    cors_origin: str | None = setting(
        "CORS_ORIGIN", text, "Origin of the web page that may read responses in a browser, or `*`", default=None
    )
    body_limit_bytes: int = setting(
        "BODY_LIMIT_BYTES", count, "Maximum size of a request body, bytes", default=10 * 1024 * 1024
    )
    caller_rate_per_minute: int = setting(
        "CALLER_RATE_PER_MINUTE",
        _count_or_none,
        "Requests a minute of one caller to a route with `limit_per_caller`; 0 for no limit",
        default=30,
    )
    compress_over_bytes: int = setting(
        "COMPRESS_OVER_BYTES",
        _count_or_none,
        "Size of a response above which functions compress text with gzip, bytes; 0 for none",
        default=0,
    )
    # Not the stage of the log, whose default is local: a server that sets no STAGE must not show tracebacks.
    stage: str = setting("STAGE", text, "Name of the stage", default="")


def add_defaults(app: Flask, *, check_responses: bool = False) -> None:
    """Prepare an app for a bundle; calling it again changes nothing.

    Errors become problem details, and responses get CORS headers when CORS_ORIGIN is set. The app's own error handlers
    take precedence. Register them first. An existing application keeps its own errors and headers.

    Log lines are left to the handlers of the root logger. When metrics are on,
    responses of all apps are counted, because an app can be mounted in another.

    Args:
        app: The app.
        check_responses: Compare responses with the views' annotations in the stage `local`; see
            `decant.web.responses`.
    Raises:
        ConfigError: the settings are bad.
    """
    app.logger.removeHandler(default_handler)  # which prints every line a second time
    if metrics.is_on():
        request_finished.connect(_count_response)
    settings = load(WebSettings)
    if __name__ in app.extensions or EXISTING in app.extensions:
        return
    app.extensions[__name__] = settings
    accept_structs(app, check=check_responses)
    own = app.error_handler_spec[None][None]
    if Exception not in own:
        if HTTPException not in own:
            app.register_error_handler(HTTPException, _http_error)
        if DecantError not in own:
            app.register_error_handler(DecantError, _decant_error)
    if settings.cors_origin is not None:
        app.after_request(_add_cors_headers)


def _count_response(_app: Flask, response: Response) -> None:
    route = f"{request.method} {request.url_rule.rule}" if request.url_rule else _NO_ROUTE
    metrics.record({"Requests": 1}, route=route, status=str(response.status_code))


def respond_with_error(response: wsgi.Response, error: BaseException) -> None:
    """Respond to an error that Flask did not handle: an opaque 500, or its own status for an HTTP exception."""
    status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, None
    if isinstance(error, HTTPException) and error.code is not None:
        status, detail = HTTPStatus(error.code), error.description
    body = _document(status, status.phrase, detail, traceback=_traceback(status, error))
    headers = [("Content-Type", _MIME_TYPE), ("Content-Length", str(len(body))), *_cors_headers()]
    metrics.record({"Requests": 1}, route=_NO_ROUTE, status=str(status.value))
    response.start(f"{status.value} {status.phrase}", headers)
    response.write(body)
    response.finish()


def _document(status: int, title: str, detail: str | None = None, **members: Any) -> bytes:
    """The problem document, with the request's correlation id as its instance."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    document |= {"instance": correlation_id()} | members
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def _traceback(status: int, error: BaseException | None) -> list[str] | None:
    """The lines of an unknown error's traceback in the stage `local`; None in other stages."""
    if error is None or status != HTTPStatus.INTERNAL_SERVER_ERROR or load(WebSettings).stage != "local":
        return None
    return "".join(traceback.format_exception(error)).splitlines()


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
    trace = _traceback(error.code, getattr(error, "original_exception", None))
    response = Response(_document(error.code, error.name, detail, traceback=trace), error.code, mimetype=_MIME_TYPE)
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


def allow_cross_site[F: Callable[..., Any]](reason: str) -> Callable[[F], F]:
    """Let pages of other sites send requests to a view, such as an identity provider's form.

    Args:
        reason: Why the view needs no protection against cross-site requests, for readers of the code.
    """

    def mark(view: F) -> F:
        setattr(view, _REASON, reason)
        return view

    return mark


def reject_cross_site(app: Flask) -> None:
    """Reject requests that pages of other sites send with unsafe methods; once per app.

    The adapters call it at the first such request: the hook would cost every request 1 µs.

    A request with an unsafe method needs a Content-Type when it has a body, and must not come from another site: its
    `Sec-Fetch-Site` is `same-origin` or `none`, or without that header its `Origin` is the request's own host. Pages of
    CORS_ORIGIN are allowed, and so are clients that are no browsers, which send neither header.
    """
    hooks = app.before_request_funcs.setdefault(None, [])
    if _reject_cross_site not in hooks:
        hooks.append(_reject_cross_site)


def _reject_cross_site() -> None:
    if request.method in SAFE_METHODS:
        return
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or hasattr(view, _REASON):
        return
    if not _is_same_site(request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")):
        raise Forbidden("Pages of other sites may not send this request.")
    if request.content_length and not request.mimetype:
        raise UnsupportedMediaType("A request with a body needs a Content-Type.")


def _is_same_site(site: str | None, origin: str | None) -> bool:
    allowed = load(WebSettings).cors_origin
    if allowed is not None and origin is not None and allowed in {"*", origin}:
        return True
    if site is not None:
        return site in {"same-origin", "none"}
    return origin is None or urlsplit(origin).netloc == request.host


def _cors_headers() -> list[tuple[str, str]]:
    """Headers that let the page of CORS_ORIGIN read a response; none without that setting."""
    origin = load(WebSettings).cors_origin
    if origin is None:
        return []
    headers = [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _EXPOSED_HEADERS)]
    return headers if origin == "*" else [*headers, ("Vary", "Origin")]


def _add_cors_headers(response: Response) -> Response:
    """Flask's `after_request` function: add the CORS headers, and those of a preflight request's response."""
    headers = _cors_headers()
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        headers += [
            ("Access-Control-Allow-Methods", response.headers.get("Allow", "")),
            ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
            ("Access-Control-Max-Age", str(_MAX_AGE_S)),
        ]
    for name, value in headers:
        if name == "Vary":
            response.vary.add(value)
        else:
            response.headers.setdefault(name, value)
    return response
