"""A Flask app on the web: as a Lambda function behind API Gateway, or as an ASGI application behind a server.

    from decant.web import body, lambda_handler

    @app.post("/users")
    async def create_user():
        user = body(NewUser)          # a msgspec Struct, or 400 or 422 with every validation error
        ...

    handler = lambda_handler(app)

Errors become `application/problem+json`, and every response and log line carries the request's correlation id.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decant.asgi.application import asgi_app
    from decant.web.chunks import stream
    from decant.web.defaults import allow_cross_site
    from decant.web.idempotency import idempotent
    from decant.web.lambda_adapter import lambda_handler
    from decant.web.limits import limit_per_caller
    from decant.web.params import body, form, query
    from decant.web.resources import etag, page
    from decant.web.responses import responds

__all__ = [
    "allow_cross_site",
    "asgi_app",
    "body",
    "etag",
    "form",
    "idempotent",
    "lambda_handler",
    "limit_per_caller",
    "page",
    "query",
    "responds",
    "stream",
]

_MODULES = {
    "allow_cross_site": "decant.web.defaults",
    "asgi_app": "decant.asgi.application",
    "body": "decant.web.params",
    "etag": "decant.web.resources",
    "form": "decant.web.params",
    "idempotent": "decant.web.idempotency",
    "lambda_handler": "decant.web.lambda_adapter",
    "limit_per_caller": "decant.web.limits",
    "page": "decant.web.resources",
    "query": "decant.web.params",
    "responds": "decant.web.responses",
    "stream": "decant.web.chunks",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that Lambda functions and ASGI servers import only their own part."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
