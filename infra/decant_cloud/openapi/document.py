"""The OpenAPI 3.1 document of all routes.

Source: OpenAPI Specification 3.1.1, RFC 9457 (problem details), RFC 6750 (bearer tokens).
"""

import importlib.util
import inspect
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask
from werkzeug.datastructures import FileStorage
from werkzeug.routing import Rule

from decant.web.responses import JSON, declared_responses
from decant_cloud.openapi.views import Facts, facts_of

__all__ = ["Function", "disagreements", "document", "load_app"]

_PROBLEM = "application/problem+json"
_PROBLEMS = {
    "Problem": {
        "title": "Problem",
        "description": "An error. Source: RFC 9457.",
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "description": "The request's correlation id."},
            "errors": {
                "type": "array",
                "description": "The invalid fields.",
                "items": {
                    "type": "object",
                    "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
                    "required": ["field", "detail"],
                },
            },
        },
        "required": ["type", "title", "status"],
    }
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A new UUID. A request that is sent again with the same key has no second effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_SAFE = {"get", "head", "options", "trace"}
_CONVERTERS: dict[str, dict[str, Any]] = {
    "UUIDConverter": {"type": "string", "format": "uuid"},
    "IntegerConverter": {"type": "integer", "minimum": 0},
    "FloatConverter": {"type": "number", "minimum": 0},
}
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+(?:\n {6,}.+)*)", re.MULTILINE)
_REF = "#/components/schemas/{name}"


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
    """Import a function's `app.py` with its folder on the path, as Lambda does; its Flask app, or None.

    The modules of the folder are removed from `sys.modules` afterwards: every function has its own `app`.
    """
    with _importing_from(folder):
        spec = importlib.util.spec_from_file_location(f"functions_{folder.name}", folder / "app.py")
        if spec is None or spec.loader is None:
            return None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # annotations are resolved through it
        spec.loader.exec_module(module)
    app = getattr(module, "app", None)
    return app if isinstance(app, Flask) else None


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
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
    schemas = _Schemas(facts, views)
    names = Counter(rule.endpoint for _, rule, _, _ in routes)
    paths: dict[str, dict[str, Any]] = {}
    for (function, rule, method, path), view, known in zip(routes, views, facts, strict=True):
        operation = _Operation(function, rule, method, view, known, schemas)
        unique = rule.endpoint if names[rule.endpoint] == 1 else f"{method.lower()}_{function.name}_{rule.endpoint}"
        paths.setdefault(path, {})[method.lower()] = {"operationId": unique.replace(".", "_"), **operation.build()}
    secured = any(each.scopes or each.reads_token for each in facts)
    bearer = {"bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": ".", "description": "The stage that serves this document"}],
        "paths": {path: dict(sorted(operations.items())) for path, operations in sorted(paths.items())},
        "components": {"schemas": dict(sorted(schemas.components.items()))}
        | ({"securitySchemes": bearer} if secured else {}),
    }


class _Schemas:
    """JSON schemas of all types at once, so that equal names of different functions stay distinct."""

    def __init__(self, facts: Iterable[Facts], views: Iterable[Callable[..., Any]]) -> None:
        found: list[Any] = []
        for each in facts:
            found += [each.body] if each.body is not None else []
            found += each.query
        found += [declared.type for view in views for declared in declared_responses(view) if declared.type is not None]
        self._types = list({_key(type_): type_ for type_ in found}.values())
        schemas, components = msgspec.json.schema_components(self._types, schema_hook=_file, ref_template=_REF)
        self._schemas = dict(zip(map(_key, self._types), schemas, strict=True))
        self.components: dict[str, Any] = {**{name: _described(each) for name, each in components.items()}, **_PROBLEMS}

    def of(self, type_: Any) -> dict[str, Any]:
        """The schema of a type, usually a reference."""
        return self._schemas[_key(type_)]

    def fields(self, struct: Any) -> dict[str, Any]:
        """The schema of a Struct with its properties."""
        schema = self.of(struct)
        while "$ref" in schema:
            schema = self.components[schema["$ref"].rpartition("/")[2]]
        return schema


def _file(type_: type) -> dict[str, Any]:
    """The schema of an uploaded file."""
    if issubclass(type_, FileStorage):
        return {"type": "string", "format": "binary"}
    raise NotImplementedError  # which makes msgspec report the type


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with ECMA patterns; the docstring's section `Attributes` becomes the descriptions of properties."""
    description, _, attributes = schema.get("description", "").partition("\n\nAttributes:\n")
    described = dict(_with_ecma_patterns(schema))
    if description:
        described["description"] = " ".join(description.split())
    for name, text in _ATTRIBUTE.findall(attributes):
        if name in described.get("properties", {}):
            described["properties"][name] = {**described["properties"][name], "description": " ".join(text.split())}
    return described


def _with_ecma_patterns(schema: Any) -> Any:
    """The schema with the anchors of JSON Schema's regular expressions in place of Python's."""
    if isinstance(schema, dict):
        return {
            name: value.replace(r"\A", "^").replace(r"\Z", "$")
            if name == "pattern" and isinstance(value, str)
            else _with_ecma_patterns(value)
            for name, value in schema.items()
        }
    return [_with_ecma_patterns(each) for each in schema] if isinstance(schema, list) else schema


def _key(type_: Any) -> str:
    return f"{getattr(type_, '__module__', '')}.{type_!r}"


class _Operation:
    """One method of one path."""

    def __init__(  # noqa: PLR0913, PLR0917  # all parts of an operation
        self, function: Function, rule: Rule, method: str, view: Callable[..., Any], facts: Facts, schemas: _Schemas
    ) -> None:
        self._function = function
        self._rule = rule
        self._method = method.lower()
        self._view = view
        self._facts = facts
        self._schemas = schemas

    def build(self) -> dict[str, Any]:
        """The operation object, without its id."""
        summary, _, description = inspect.cleandoc(inspect.unwrap(self._view).__doc__ or "").partition("\n")
        path = self._rule.rule.strip("/").partition("/")[0]
        built: dict[str, Any] = {"summary": summary} if summary else {}
        if description := description.partition("\nArgs:")[0].partition("\nRaises:")[0].strip():
            built["description"] = description
        built["tags"] = [path or self._function.name]
        parameters = [*self._path_parameters(), *self._query_parameters()]
        if self._facts.idempotency_key:
            parameters.append(_IDEMPOTENCY_KEY)
        if parameters:
            built["parameters"] = parameters
        if self._facts.body is not None:
            built["requestBody"] = self._body()
        built["responses"] = self._responses()
        if self._facts.scopes:
            built["security"] = [{"bearerAuth": self._facts.scopes}]
        elif self._facts.reads_token:
            built["security"] = [{}, {"bearerAuth": []}]
        return built

    def _path_parameters(self) -> Iterator[dict[str, Any]]:
        examples = self._function.event.get("pathParameters") or {}
        for name, converter in sorted(self._rule._converters.items()):  # noqa: SLF001  # public attribute has no schema
            kind = type(converter).__name__
            schema = dict(_CONVERTERS.get(kind, {"type": "string", "minLength": 1}))
            if kind == "AnyConverter":
                schema = {"type": "string", "enum": sorted(vars(converter)["items"])}
            parameter = {"name": name, "in": "path", "required": True, "schema": schema}
            yield parameter | ({"example": _typed(examples[name], schema)} if name in examples else {})

    def _query_parameters(self) -> Iterator[dict[str, Any]]:
        examples = self._function.event.get("queryStringParameters") or {}
        for struct in self._facts.query:
            schema = self._schemas.fields(struct)
            for name, of_field in schema["properties"].items():
                required = name in schema.get("required", ())
                plain, given = _without_null(of_field), examples.get(name)
                parameter: dict[str, Any] = {"name": name, "in": "query", "required": required, "schema": plain}
                yield parameter | ({"example": _typed(given, plain)} if given is not None else {})

    def _body(self) -> dict[str, Any]:
        content: dict[str, Any] = {"schema": self._schemas.of(self._facts.body)}
        if body := self._function.event.get("body"):
            content["example"] = json.loads(body) if self._facts.media_type == JSON else body
        return {"required": self._facts.body_required, "content": {self._facts.media_type: content}}

    def _responses(self) -> dict[str, Any]:
        responses: dict[int, dict[str, Any]] = {}
        for declared in declared_responses(self._view):
            response: dict[str, Any] = {"description": declared.description or HTTPStatus(declared.status).phrase}
            if declared.type is not None:
                response["content"] = {declared.mimetype: {"schema": self._schemas.of(declared.type)}}
            responses[declared.status] = response
        responses = responses or {HTTPStatus.OK: {"description": HTTPStatus.OK.phrase}}
        for status, titles in self._errors().items():
            content = {_PROBLEM: {"schema": {"$ref": _REF.format(name="Problem")}}}
            responses[status] = {"description": " or ".join(sorted(titles)), "content": content}
        return {str(int(status)): response for status, response in sorted(responses.items())}

    def _errors(self) -> dict[int, set[str]]:
        found = {status: set(titles) for status, titles in self._facts.errors.items()}
        if self._rule._converters:  # noqa: SLF001  # a path that the converter rejects is unknown
            found.setdefault(HTTPStatus.NOT_FOUND, set()).add("Not Found")
        if self._method not in _SAFE:
            found.setdefault(HTTPStatus.FORBIDDEN, set()).add("Forbidden")
        if self._facts.body is not None:
            found.setdefault(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, set()).add("Request Entity Too Large")
            found.setdefault(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, set()).add("Unsupported Media Type")
        return found


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


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a query parameter: a missing one has no value, and no text stands for null."""
    plain = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    arms = [arm for arm in schema.get("anyOf", ()) if arm != {"type": "null"}]
    if schema.get("default") is not None:
        plain["default"] = schema["default"]
    return {**plain, **arms[0]} if len(arms) == 1 else {**plain, **({"anyOf": arms} if arms else {})}


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    """An example from an event, where all values are text."""
    return json.loads(text) if schema.get("type") in {"integer", "number", "boolean"} else text
