"""The parts of Flask's dispatch that Decant shortens do what Flask's own do."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from inspect import markcoroutinefunction
from typing import Any

import pytest
from flask import Flask, Request
from flask.json.provider import DefaultJSONProvider
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.test import EnvironBuilder

from decant.web.dispatch import shorten
from decant.web.wsgi import to_wsgi_string

HOSTS = ["localhost", "Example.COM:443", "example.com:8080", "bücher.example", "[::1]:80", "a..b", "x" * 70, "a b", ""]
PATHS = ["/", "", "/users/1", "//twice", "/ä/é", "/a%20b", "/trailing/"]


def bound(app: Flask, environ: dict[str, Any]) -> object:
    """What the app's URL adapter for a request contains, with the request's host; or the class of its error."""
    request = Request(dict(environ))
    try:
        adapter: Any = app.create_url_adapter(request)
    except HTTPException as error:
        return type(error)
    names = ("server_name", "script_name", "subdomain", "url_scheme", "path_info", "default_method", "query_args")
    return *[getattr(adapter, name) for name in names], adapter.websocket, request.host


def same_url_adapters(environ: dict[str, Any], **config: Any) -> None:
    """Compare the URL adapters of an app that is shortened with those of another, twice for what is kept."""
    own, shortened = Flask("own"), Flask("shortened")
    for app in (own, shortened):
        app.config |= config
    shorten(shortened)
    assert [bound(shortened, environ), bound(shortened, environ)] == [bound(own, environ)] * 2


def body(app: Flask, value: object) -> bytes:
    """Body of the app's JSON response."""
    response: Any = app.json.response(value)
    data: bytes = response.get_data()
    return data


@given(
    host=st.one_of(st.none(), st.sampled_from(HOSTS), st.text(max_size=20)),
    scheme=st.sampled_from(["http", "https"]),
    root=st.sampled_from(["", "/dev", "/ü"]),
    path=st.one_of(st.sampled_from(PATHS), st.text(max_size=20)),
    query=st.sampled_from(["", "a=1", "ä=ö"]),
)
def test_url_adapter_is_that_of_flask(host: str | None, scheme: str, root: str, path: str, query: str) -> None:
    """Names of hosts, roots, paths and queries of any kind are bound as Flask binds them."""
    environ = EnvironBuilder("/", method="POST").get_environ()
    environ |= {"wsgi.url_scheme": scheme, "SCRIPT_NAME": to_wsgi_string(root), "SERVER_PORT": "8443"}
    environ |= {"PATH_INFO": to_wsgi_string(path), "QUERY_STRING": to_wsgi_string(query)}
    environ.pop("HTTP_HOST")

    same_url_adapters(environ if host is None else {**environ, "HTTP_HOST": to_wsgi_string(host)})


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"SERVER_NAME": "example.com"}, id="server name"),
        pytest.param({"TRUSTED_HOSTS": ["example.com"]}, id="trusted host"),
        pytest.param({"TRUSTED_HOSTS": ["other.example"]}, id="other host"),
    ],
)
def test_settings_of_hosts_apply(config: dict[str, Any]) -> None:
    """An app with a setting that concerns hosts treats them as Flask does."""
    same_url_adapters(EnvironBuilder("/", base_url="https://example.com").get_environ(), **config)


def test_websocket_is_bound_as_one() -> None:
    """A request that asks for a WebSocket matches rules of WebSockets alone."""
    same_url_adapters(EnvironBuilder("/", headers=[("Connection", "upgrade"), ("Upgrade", "websocket")]).get_environ())


@pytest.mark.parametrize("option", ["host_matching", "subdomain_matching"])
def test_hosts_choose_routes(option: str) -> None:
    """An app whose routes depend on the host finds them by the host of each request."""
    app = Flask("app", static_folder=None, **{option: True})  # type: ignore[arg-type]
    app.config["SERVER_NAME"] = "example.com" if option == "subdomain_matching" else None
    for name in ("a", "b"):
        options: dict[str, Any] = (
            {"subdomain": name} if option == "subdomain_matching" else {"host": f"{name}.example.com"}
        )
        app.add_url_rule("/", name, partial(str, name), **options)
    shorten(app)

    found = [app.test_client().get("/", base_url=f"http://{name}.example.com").text for name in "aba"]

    assert found == ["a", "b", "a"]


def test_methods_of_an_application_stay() -> None:
    """An app that has its own way to bind URLs, to await or to write JSON keeps it."""

    class Provider(DefaultJSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:  # noqa: ARG002
            return "own"

    class Own(Flask):
        json_provider_class = Provider

        def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
            return super().create_url_adapter(request)

        def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
            return func

    app = Own("app")

    shorten(app)

    assert not {"create_url_adapter", "ensure_sync"} & vars(app).keys()
    assert body(app, {"a": 1}) == b"own\n"


async def _awaits() -> None:
    """A coroutine function."""


def _returns() -> None:
    """A function."""


@markcoroutinefunction
def _marked() -> Coroutine[Any, Any, None]:
    return _awaits()


class _Callable:
    """What is called in place of a function."""

    async def __call__(self) -> None:
        """Await."""


@pytest.mark.parametrize(
    "function",
    [_awaits, _returns, partial(_awaits), partial(_returns), _Callable(), _marked],
)
def test_functions_that_await_are_found(function: Callable[..., Any]) -> None:
    """Functions are made synchronous if and only if Flask does so."""
    own, shortened = Flask("own"), Flask("shortened")
    shorten(shortened)
    for app in (own, shortened):
        app.async_to_sync = lambda func: ("sync", func)  # type: ignore[assignment, method-assign, return-value]

    assert shortened.ensure_sync(function) == own.ensure_sync(function)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.uuids()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


@given(value=JSON, debug=st.booleans(), changed=st.booleans())
def test_json_is_that_of_flask(value: object, debug: bool, changed: bool) -> None:  # noqa: FBT001
    """JSON responses have Flask's bytes, also after an option of the provider was changed."""
    own, shortened = Flask("own"), Flask("shortened")
    shorten(shortened)
    shortened.json.response(value)
    for app in (own, shortened):
        app.debug = debug
        if changed:
            app.json.sort_keys = app.json.ensure_ascii = False  # type: ignore[attr-defined]

    assert body(shortened, value) == body(own, value)


def test_json_of_other_types_uses_the_default_of_the_provider() -> None:
    """A function that the application sets as the provider's default writes other types."""
    app = Flask("app")
    shorten(app)
    app.json.response([])
    app.json.default = lambda value: value.isoformat()  # type: ignore[attr-defined]

    assert body(app, datetime(2026, 1, 2, tzinfo=UTC)) == b'"2026-01-02T00:00:00+00:00"\n'
