"""The routes to fuzz, read from the template, the events and the URL maps, so that new routes are covered."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import msgspec
from msgspec import Struct

from decant_cloud.local.endpoints import Endpoint, endpoints
from decant_cloud.template.model import Template
from tests.loading import ROOT, load_function

__all__ = ["Route", "load_routes"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route with a valid request.

    Attributes:
        path: With its variables in braces: `/users/{user_id}`.
        path_values: Valid values of the variables.
        query: Valid query parameters.
        body: A valid body, JSON; None for none.
        needs_token: The route requires a bearer token.
        fields: JSON schemas of the parameters and members that the function parses, by their names.
        creates: Variable of other routes' paths for which this route creates values; None for none.
    """

    method: str
    path: str
    path_values: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    needs_token: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    creates: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def load_routes() -> list[Route]:
    """Every route, those of the template first."""
    template = Template(ROOT)
    all_endpoints = endpoints(template)
    variables = {name for endpoint in all_endpoints for name in re.findall(r"{(\w+)}", endpoint.path)}
    found: dict[str, Route] = {}
    modules: dict[str, ModuleType] = {}
    for endpoint in all_endpoints:
        folder = template.function(endpoint.function).name
        modules[folder] = modules.get(folder) or load_function(folder)
        if endpoint.method == "ANY":
            continue  # the routes of its app follow
        route = _route(endpoint, modules[folder], sorted(variables))
        found[str(route)] = route
    for module in modules.values():
        for route in _other_routes(module):
            found.setdefault(str(route), route)
    return list(found.values())


def _route(endpoint: Endpoint, module: ModuleType, variables: list[str]) -> Route:
    event = endpoint.event
    query, body = event.get("queryStringParameters") or {}, event.get("body")
    return Route(
        method=endpoint.method,
        path=endpoint.path,
        path_values=event.get("pathParameters") or {},
        query=query,
        body=body,
        needs_token="Authorization" in (event.get("headers") or {}),
        fields=dict(_fields(module, set(json.loads(body) if body else query))),
        creates=next((name for name in variables if endpoint.makes(name)), None),
    )


def _other_routes(module: ModuleType) -> Iterator[Route]:
    """Routes of the app that API Gateway does not have, such as static files: the gateway responds to them itself."""
    for rule in module.app.url_map.iter_rules():
        path = re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(method=method, path=path)


def _fields(module: ModuleType, names: set[str]) -> Iterator[tuple[str, Any]]:
    """Fields of the Structs that a function or a module of the domain defines, and that have all these names."""
    for struct in _structs(module):
        if not names.issubset(struct.__struct_encode_fields__):
            continue
        schema = msgspec.json.schema(struct)
        definitions = schema.get("$defs", {})
        for name, one in definitions.get(struct.__name__, {}).get("properties", {}).items():
            yield name, one | {"$defs": definitions}


def _structs(module: ModuleType) -> Iterator[type[Struct]]:
    """Structs of input, which forbid unknown fields; those of responses do not."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Struct) and value.__struct_config__.forbid_unknown_fields:
            yield value
        elif isinstance(value, ModuleType) and value.__name__.startswith("domain."):
            yield from _structs(value)
