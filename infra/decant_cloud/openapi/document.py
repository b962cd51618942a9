"""The OpenAPI 3.1 document of all routes.

Source: OpenAPI Specification 3.1.1.
"""

import gc
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from decant_cloud.openapi.links import add_links
from decant_cloud.openapi.operations import Operation
from decant_cloud.openapi.schemas import Schemas
from decant_cloud.openapi.views import facts_of
from decant_cloud.paths import module_of

__all__ = ["Function", "disagreements", "document", "importing_from", "load_app", "without_collector"]


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function with routes.

    Attributes:
        name: Its folder's name.
        app: Its Flask app.
        routes: Method and path of every route in the template.
        event: Its event in `events/`; empty when there is none.
    """

    name: str
    app: Flask
    routes: frozenset[tuple[str, str]]
    event: Mapping[str, Any]


def load_app(folder: Path) -> Flask | None:
    """Import a function's module with its folder on the path, as Lambda does; its Flask app, or None.

    Views of an existing application (`decant.web.existing`) are not described, and the function is not imported.

    The modules of the folder are removed from `sys.modules` afterwards: every function has its own `app`.
    """
    if "decant.web.existing" in module_of(folder).read_text():
        return None
    with importing_from(folder):
        spec = importlib.util.spec_from_file_location(f"functions_{folder.name}", module_of(folder))
        if spec is None or spec.loader is None:
            return None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # annotations are resolved through it
        spec.loader.exec_module(module)
    app = getattr(module, "app", None)
    return app if isinstance(app, Flask) else None


@contextmanager
def without_collector() -> Iterator[None]:
    """Stop the garbage collector for the block: searching apps and documents, which are kept, takes a sixth of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Import modules of a folder while the block runs; they are removed from `sys.modules` afterwards."""
    sys.path.insert(0, str(folder))
    newest = next(reversed(sys.modules))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        # Modules are in the order of their import. A set of all names for each function would take longer.
        for name in list(takewhile(lambda name: name != newest, reversed(sys.modules))):
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).parent == folder and not name.startswith("functions_"):
                del sys.modules[name]


def disagreements(functions: Iterable[Function]) -> Iterator[str]:
    """Routes that only the template has, or only a function's app. `ANY` in the template stands for all methods."""
    for function in functions:
        served = {(method, path) for rule in _rules(function.app) for method, path in _operations(rule)}
        for method, path in sorted(function.routes):
            if not any(_covers(method, path, *each) for each in served):
                yield f"{function.name}: template.yaml has {method} {path}, and the app has no such route"
        for method, path in sorted(served):
            if not any(_covers(*route, method, path) for route in function.routes):
                yield f"{function.name}: its app has {method} {path}, and template.yaml has no such route"


def _covers(method: str, path: str, served_method: str, served_path: str) -> bool:
    if method not in {"ANY", served_method}:
        return False
    if not path.endswith("+}"):
        return path == served_path
    return served_path.startswith(path[: path.rindex("{")])


def document(functions: Sequence[Function], *, title: str, version: str, bundle: Path) -> dict[str, Any]:
    """The document, in a stable order: paths and components by name.

    Args:
        functions: All functions that have routes.
        title: Name of the API.
        version: Version of the API.
        bundle: Folder whose code is searched for the errors that views raise.
    """
    routes = [
        (function, rule, method, path)
        for function in functions
        for rule in _rules(function.app)
        for method, path in _operations(rule)
    ]
    views = [_view(function.app, rule, method) for function, rule, method, _ in routes]
    facts = [facts_of(view, bundle) for view in views]
    schemas = Schemas(facts, views)
    names = Counter(rule.endpoint for _, rule, _, _ in routes)
    paths: dict[str, dict[str, Any]] = {}
    for (function, rule, method, path), view, known in zip(routes, views, facts, strict=True):
        operation = Operation(
            rule=rule, method=method.lower(), view=view, facts=known, schemas=schemas, event=function.event
        )
        unique = rule.endpoint if names[rule.endpoint] == 1 else f"{method.lower()}_{function.name}_{rule.endpoint}"
        paths.setdefault(path, {})[method.lower()] = {"operationId": unique.replace(".", "_"), **operation.build()}
    secured = any(each.scopes or each.reads_token for each in facts)
    bearer = {"bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    made = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": ".", "description": "The stage that serves this document"}],
        "paths": {path: dict(sorted(operations.items())) for path, operations in sorted(paths.items())},
        "components": {"schemas": schemas.components(paths)} | ({"securitySchemes": bearer} if secured else {}),
    }
    add_links(made)
    return made


def _rules(app: Flask) -> list[Rule]:
    """The rules that views serve; the rule of static files is Flask's own."""
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static" and not rule.websocket]


def _view(app: Flask, rule: Rule, method: str) -> Callable[..., Any]:
    """The function that serves a method: of a class-based view, its method."""
    view = app.view_functions[rule.endpoint]
    return getattr(getattr(view, "view_class", None), method.lower(), view)


def _operations(rule: Rule) -> list[tuple[str, str]]:
    path = re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule)
    return [(method, path) for method in sorted(rule.methods or ()) if method not in {"HEAD", "OPTIONS"}]
