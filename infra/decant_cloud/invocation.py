"""Import a bundle's functions and invoke their handlers in this process, as Lambda does."""

import base64
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

from decant_cloud.paths import module_of, root

__all__ = [
    "Call",
    "Context",
    "ReadEvent",
    "Response",
    "Token",
    "call",
    "event",
    "load_function",
    "load_module",
]


@dataclass(frozen=True)
class Context:
    """Lambda's context object.

    Attributes:
        remaining_ms: Milliseconds until the function would be stopped.
    """

    aws_request_id: str = "11111111-2222-3333-4444-555555555555"
    function_name: str = "test"
    remaining_ms: int = 25_000

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function would be stopped."""
        return self.remaining_ms


@dataclass(frozen=True)
class Response:
    """Response of a function to API Gateway.

    Attributes:
        status: HTTP status.
        text: Body; of a binary response, decoded as UTF-8.
        headers: Headers by lower-case name; of a repeated header, the last value.
    """

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.text)


type Call = Callable[..., Response]
"""Type of the fixture `call`."""

type ReadEvent = Callable[..., dict[str, Any]]
"""Type of the fixture `event`."""

type Token = Callable[..., str]
"""Type of the fixture `token`."""


def load_function(name: str) -> ModuleType:
    """Import the module in `functions/<name>` anew, as Lambda does at a cold start."""
    return load_module(module_of(root() / "functions" / name))


def load_module(path: Path) -> ModuleType:
    """Import a file anew, under a name of its own; modules in its folder can be imported by it."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_app", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python module", path=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def event(  # noqa: PLR0913  # the parts of an event
    name: str,
    *,
    method: str | None = None,
    path: str | None = None,
    query: str | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Read the function's event from `events/`, with parts of it replaced.

    Args:
        name: The function's folder.
        method: Another method.
        path: Another path.
        query: Another query string.
        body: Another body; the empty text for none. What is not a text is sent as JSON, with its Content-Type.
        headers: More headers, or other values of present ones.
    """
    made: dict[str, Any] = json.loads((root() / "events" / f"{name}.json").read_text())
    if method is not None:
        made |= {"httpMethod": method, "requestContext": made["requestContext"] | {"httpMethod": method}}
    if path is not None:
        made |= {"path": path, "requestContext": made["requestContext"] | {"path": f"/dev{path}"}}
    if query is not None:
        pairs = parse_qsl(query, keep_blank_values=True)
        made["queryStringParameters"] = dict(pairs) or None
        made["multiValueQueryStringParameters"] = {key: [v for k, v in pairs if k == key] for key, _ in pairs} or None
    if body is not None:
        made["body"] = (body if isinstance(body, str) else json.dumps(body)) or None
    if body is not None and not isinstance(body, str):
        headers = {"Content-Type": "application/json"} | dict(headers or {})
    for header, value in (headers or {}).items():
        for table, entry in (("headers", value), ("multiValueHeaders", [value])):
            others = {key: old for key, old in (made.get(table) or {}).items() if key.lower() != header.lower()}
            made[table] = others | {header: entry}
    return made


def call(function: ModuleType | str, given: Mapping[str, Any]) -> Response:
    """Invoke the handler of a function with a route.

    Args:
        function: The imported module, or the function's folder, which is imported anew.
        given: Event of API Gateway, as `event` returns it.
    """
    module = load_function(function) if isinstance(function, str) else function
    returned = module.handler(given, Context())
    headers = {name.lower(): values[-1] for name, values in (returned.get("multiValueHeaders") or {}).items()}
    headers |= {name.lower(): value for name, value in (returned.get("headers") or {}).items()}
    text = returned["body"]
    if returned.get("isBase64Encoded"):
        text = base64.b64decode(text).decode(errors="replace")
    return Response(returned["statusCode"], text, headers)
