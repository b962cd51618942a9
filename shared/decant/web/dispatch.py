"""Shorten Flask's own dispatch, which is half of a request, by what it would find out anew for each request.

Flask validates the host twice and encodes it for IDNA, looks through the wrappers of each function for a coroutine
function, and makes a JSON encoder for each response. An app that has replaced one of these methods keeps its own.

Source: `Flask.create_url_adapter` with werkzeug's `Map.bind_to_environ`, `Flask.ensure_sync`, and
`DefaultJSONProvider.dumps`.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from inspect import CO_COROUTINE
from types import FunctionType
from typing import Any

from flask import Flask, Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.routing import Map, MapAdapter
from werkzeug.wsgi import get_host

__all__ = ["shorten"]

_HOSTS = 64  # a server can be asked for any number of them


def shorten(app: Flask) -> None:
    """Replace the methods that are Flask's own; once per app."""
    if _is_from(Flask, app.create_url_adapter) and type(app.url_map) is Map:
        app.create_url_adapter = _url_adapters(app)  # type: ignore[method-assign, assignment]
    if _is_from(Flask, app.ensure_sync):
        app.ensure_sync = _sync_functions(app)  # type: ignore[method-assign, assignment]
    provider = app.json
    if isinstance(provider, DefaultJSONProvider) and _is_from(DefaultJSONProvider, provider.dumps):
        provider.dumps = _compact_json(provider)  # type: ignore[method-assign]


def _is_from(owner: type, method: Callable[..., Any]) -> bool:
    return getattr(method, "__func__", None) is getattr(owner, method.__name__)


def _url_adapters(app: Flask) -> Callable[[Request | None], MapAdapter | None]:
    flasks_own, config, url_map = app.create_url_adapter, app.config, app.url_map

    def create_url_adapter(request: Request | None) -> MapAdapter | None:
        if (
            request is None
            or config["SERVER_NAME"] is not None
            or config["TRUSTED_HOSTS"] is not None
            or request.trusted_hosts is not None
            or url_map.host_matching
            or app.subdomain_matching
            or "HTTP_UPGRADE" in request.environ  # of a WebSocket, which has rules of its own
        ):
            return flasks_own(request)
        environ = request.environ
        scheme = environ["wsgi.url_scheme"]
        host, name = _host(scheme, environ.get("HTTP_HOST"), environ["SERVER_NAME"], environ["SERVER_PORT"])
        request.host = host  # Flask does so too
        root, path, query = environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["QUERY_STRING"]
        if not (root.isascii() and path.isascii() and query.isascii()):
            return flasks_own(request)
        subdomain, method = url_map.default_subdomain, environ["REQUEST_METHOD"]
        return MapAdapter(url_map, name, root, subdomain, scheme, path, method, query)

    return create_url_adapter


@lru_cache(maxsize=_HOSTS)
def _host(scheme: str, header: str | None, name: str, port: str) -> tuple[str, str]:
    """The host of a request, and its form for URL maps.

    Raises:
        BadHost: it is no host name.
    """
    environ: dict[str, Any] = {"wsgi.url_scheme": scheme, "SERVER_NAME": name, "SERVER_PORT": port}
    if header is not None:
        environ["HTTP_HOST"] = header
    host = get_host(environ)
    return host, Map().bind(host).server_name


def _sync_functions(app: Flask) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flasks_own = app.ensure_sync

    def ensure_sync(func: Callable[..., Any]) -> Callable[..., Any]:
        if type(func) is FunctionType:
            if func.__code__.co_flags & CO_COROUTINE:
                return app.async_to_sync(func)
            if not func.__dict__:  # it may be marked as a coroutine function
                return func
        return flasks_own(func)

    return ensure_sync


def _compact_json(provider: DefaultJSONProvider) -> Callable[..., str]:
    flasks_own, encoder = provider.dumps, json.JSONEncoder()
    options: tuple[Any, ...] = ()

    def dumps(obj: Any, **kwargs: Any) -> str:
        nonlocal encoder, options
        if kwargs != {"separators": _COMPACT}:  # what `provider.response` passes
            return flasks_own(obj, **kwargs)
        given = provider.ensure_ascii, provider.sort_keys, provider.default
        if given != options:  # the application can change them at any time
            options, (ascii_, sort, default) = given, given
            encoder = json.JSONEncoder(ensure_ascii=ascii_, sort_keys=sort, default=default, separators=_COMPACT)
        return encoder.encode(obj)

    return dumps


_COMPACT = (",", ":")
