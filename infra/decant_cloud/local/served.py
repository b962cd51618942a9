"""The Flask apps of all functions as one ASGI application, for `make serve`."""

import importlib.util
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.security import safe_join

from decant.web import asgi_app
from decant.web.defaults import EXISTING
from decant_cloud.paths import function_folders, module_of

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope, Scope, WebSocketScope

log = logging.getLogger(__name__)

_METHOD_HEADERS = frozenset({b"allow", b"access-control-allow-methods"})
_VARIABLE = re.compile("<[^>]*>")

__all__ = ["Dispatcher", "load_apps", "load_function"]


class Dispatcher:
    """An ASGI application over Flask apps, which selects the app of a request as API Gateway selects a function.

    The most specific path wins, with any methods; the order of the apps has no effect. `Allow` and the response
    to a preflight request list the methods of every app with this path. Static files are served from the first app that
    has the file. A request without a route gets the 404 of the first existing application, else of the first app.
    """

    def __init__(self, apps: Sequence[Flask]) -> None:
        self._flasks = list(apps)
        self._apps = [asgi_app(app, secure_defaults=True) for app in apps]
        self._default = next((index for index, app in enumerate(apps) if EXISTING in app.extensions), 0)
        converters = {name: kind for app in apps for name, kind in app.url_map.converters.items()}
        paths: list[Rule] = []
        routes: dict[str, list[Rule]] = {}
        for index, app in enumerate(apps):
            for rule in app.url_map.iter_rules():
                paths.append(_of_any_method(rule))
                routes.setdefault(_path(rule), []).append(_indexed(rule, index))
        self._paths = Map(paths, converters=converters).bind("")
        self._routes = {path: Map(rules, converters=converters).bind("") for path, rules in routes.items()}

    async def __call__(self, scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        index, methods = self._find(scope)

        async def send_allowed_methods(message: "ASGISendEvent") -> None:
            if methods and message["type"] == "http.response.start":
                headers = [(name, methods if name in _METHOD_HEADERS else value) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self._apps[index](scope, receive, send_allowed_methods)

    def _find(self, scope: "HTTPScope | WebSocketScope") -> tuple[int, bytes]:
        """Which app serves the request, and the `Allow` of its response when it has one."""
        path, method = scope["path"], scope["method"] if scope["type"] == "http" else "GET"
        try:
            routes = self._routes[self._paths.match(path)[0]]
            methods = sorted(routes.allowed_methods(path)) or [method]
            endpoint, values = routes.match(path, method=method if method in methods else methods[0])
        except HTTPException:  # no route, or a redirect, which only an app with the route can make
            return self._find_redirect(path), b""
        index, _, name = endpoint.partition(" ")
        found = self._find_static(values["filename"], int(index)) if name == "static" else int(index)
        return found, ", ".join(methods).encode()

    def _find_redirect(self, path: str) -> int:
        for index, app in enumerate(self._flasks):
            try:
                app.url_map.bind("").match(path)
            except RequestRedirect:
                return index
            except HTTPException:
                continue
        return self._default

    def _find_static(self, filename: str, default: int) -> int:
        for index, app in enumerate(self._flasks):
            file = safe_join(app.static_folder, filename) if app.static_folder else None
            if file is not None and os.path.isfile(file):  # noqa: PTH113  # Path.is_file raises for long names
                return index
        return default


def _path(rule: Rule) -> str:
    """The rule without the names and converters of its variables: functions that share it share a path of the API."""
    return _VARIABLE.sub("<>", rule.rule)


def _of_any_method(rule: Rule) -> Rule:
    """A copy of an app's rule that matches every method, and whose endpoint is its path."""
    copy = rule.empty()
    copy.methods, copy.endpoint = None, _path(rule)
    return copy


def _indexed(rule: Rule, index: int) -> Rule:
    """A copy of an app's rule whose endpoint begins with the app's index."""
    copy = rule.empty()
    copy.endpoint = f"{index} {rule.endpoint}"
    return copy


def load_apps(functions: Path) -> list[Flask]:
    """The Flask app of every function that has one, by folder name; a function that cannot be imported is logged."""
    apps = []
    for folder in function_folders(functions):
        try:
            module = load_function(folder)
        except Exception:  # its routes respond with 404, and the other functions are served
            log.exception("Could not import functions/%s/%s", folder.name, module_of(folder).name)
            continue
        if isinstance(getattr(module, "app", None), Flask):
            apps.append(module.app)
    return apps


def load_function(folder: Path) -> ModuleType:
    """Import a function's module with its folder on the path, as in Lambda, but under a name of its own.

    Modules of other functions that have the names of modules in this folder are forgotten, and imported again.
    """
    name = f"functions_{folder.name}"
    for own in {path.stem for path in folder.iterdir()}:
        file = getattr(sys.modules.get(own), "__file__", None) or ""
        if Path(file).parent.parent == folder.parent and Path(file).parent != folder:
            del sys.modules[own]
    spec = importlib.util.spec_from_file_location(name, module_of(folder))
    assert spec is not None  # noqa: S101  # a path that ends in .py has one, and a loader
    assert spec.loader is not None  # noqa: S101
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # Flask finds templates and static files by it
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(folder))
        sys.path.append(str(folder))  # for imports inside of views
    return module


async def _live(receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
    """Respond to the server: clients are built at their first use, and `make serve` closes them."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
