"""Rules for requests of web pages: cross-site requests and CORS.

    @app.post("/login/callback")
    @allow_cross_site("the identity provider's page posts its form here")
    async def callback(): ...

`lambda_handler(app)` and `make serve` apply the rules to the functions of a bundle. `asgi_app` does not: it serves any
app unchanged.

Source: Fetch Standard (CORS protocol), Fetch Metadata Request Headers (`Sec-Fetch-Site`), RFC 6454 (Origin).
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

from decant.config import load
from decant.web.settings import WebSettings

__all__ = ["SAFE_METHODS", "add_cors_headers", "allow_cross_site", "cors_headers", "reject_cross_site"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_REASON = "decant_cross_site"
_MAX_AGE_S = 600
_ALLOWED_HEADERS = "authorization, content-type, if-match, if-none-match, idempotency-key, x-correlation-id"
_EXPOSED_HEADERS = "etag, location, retry-after, www-authenticate, x-correlation-id"


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
    if __name__ in app.extensions:
        return
    app.extensions[__name__] = True
    app.before_request_funcs.setdefault(None, []).append(_reject_cross_site)


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


def cors_headers() -> list[tuple[str, str]]:
    """Headers that let the page of CORS_ORIGIN read a response; none without that setting."""
    origin = load(WebSettings).cors_origin
    if origin is None:
        return []
    headers = [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _EXPOSED_HEADERS)]
    return headers if origin == "*" else [*headers, ("Vary", "Origin")]


def add_cors_headers(response: Response) -> Response:
    """Flask's `after_request` function: add the CORS headers, and those of a preflight request's response."""
    headers = cors_headers()
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
