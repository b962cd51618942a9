"""Every function's Flask app as one ASGI app: each request goes to the app that has a route for it."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from decant.web import asgi_app

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebSocketScope

__all__ = ["Dispatcher", "load_apps", "load_function"]


class Dispatcher:
    """An ASGI application over Flask apps; what none has a route for, the first answers with its 404."""

    def __init__(self, apps: Sequence[Flask]) -> None:
        self._routes = [(app.url_map.bind(""), asgi_app(app)) for app in apps]

    async def __call__(self, scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await self._routes[self._find(scope)][1](scope, receive, send)

    def _find(self, scope: "HTTPScope | WebSocketScope") -> int:
        other_method = None
        for index, (routes, _app) in enumerate(self._routes):
            try:
                routes.match(scope["path"], method=scope["method"] if scope["type"] == "http" else "GET")
            except MethodNotAllowed:
                other_method = index
            except RequestRedirect:
                return index
            except HTTPException:
                continue
            else:
                return index
        return other_method or 0


def load_apps(functions: Path) -> list[Flask]:
    """The Flask app of every function that has one, by folder name."""
    modules = [load_function(path.parent) for path in sorted(functions.glob("*/app.py"))]
    return [module.app for module in modules if isinstance(getattr(module, "app", None), Flask)]


def load_function(folder: Path) -> ModuleType:
    """Import a function's module under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"functions_{folder.name}", folder / "app.py")
    assert spec is not None  # noqa: S101  # a path that ends in .py has one, and a loader
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _live(receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
    """Nothing to start: clients are built at their first use, and whoever owns the loop closes them."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
