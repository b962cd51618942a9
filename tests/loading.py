"""How tests load the bundle's functions, give them events, and run code in processes of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

__all__ = [
    "PYTHONPATH",
    "ROOT",
    "Answer",
    "Context",
    "call",
    "event",
    "load_function",
    "load_module",
    "rest_request",
    "run_module",
    "run_python",
    "sample",
]

ROOT = Path(__file__).resolve().parents[1]
PYTHONPATH = os.pathsep.join(map(str, (ROOT, ROOT / "shared", ROOT / "infra")))
"""Where processes that tests start find the tests, the library and the tooling."""


def load_function(name: str) -> ModuleType:
    """Import `functions/<name>/app.py` anew, as Lambda does at a cold start."""
    return load_module(ROOT / "functions" / name / "app.py")


def load_module(path: Path) -> ModuleType:
    """Import one file anew, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_app", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_python(code: str) -> str:
    """Run code in a process of its own, with this one's environment; its standard output."""
    return _run_python("-c", code)


def run_module(name: str, *arguments: str) -> str:
    """Run a module as a command in a process of its own, with this one's environment; its standard output."""
    return _run_python("-m", name, *arguments)


def _run_python(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    command = [sys.executable, *arguments]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return finished.stdout


@dataclass(frozen=True)
class Context:
    """What Lambda passes beside the event, as far as anybody looks."""

    aws_request_id: str = "11111111-2222-3333-4444-555555555555"
    function_name: str = "test"
    remaining_ms: int = 25_000

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is killed."""
        return self.remaining_ms


@dataclass(frozen=True)
class Answer:
    """What a function answered to API Gateway."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.text)


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """One of AWS's own sample events from `tests/aws_events/`, with members replaced.

    Source: AWS's documentation: API Gateway (formats 1.0 and 2.0), Lambda (function URLs), load balancers.
    """
    made: dict[str, Any] = json.loads((ROOT / "tests/aws_events" / f"{name}.json").read_text())
    return made | changes


def rest_request(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    """A request without a body as API Gateway's REST API passes it on.

    Args:
        path: Path of the request, without the stage.
        method: HTTP method.
        headers: Header values by name, with `_` for `-`.
    """
    made = sample("rest", path=path, resource=path, httpMethod=method, body=None)
    named = {"Host": "api.example.com"} | {name.replace("_", "-"): value for name, value in headers.items()}
    made |= {"headers": named, "multiValueHeaders": {name: [value] for name, value in named.items()}}
    made |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}
    return made | {"requestContext": made["requestContext"] | {"path": f"/dev{path}", "httpMethod": method}}


def event(name: str, *, path: str | None = None, query: str | None = None, body: str | None = None) -> dict[str, Any]:
    """The function's event from `events/`, with parts of it replaced.

    Args:
        name: The function's folder.
        path: Another path.
        query: Another query string, in place of the event's.
        body: Another body; the empty text for none.
    """
    made: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    if path is not None:
        made |= {"path": path, "requestContext": made["requestContext"] | {"path": f"/dev{path}"}}
    if query is not None:
        pairs = parse_qsl(query, keep_blank_values=True)
        made["queryStringParameters"] = dict(pairs) or None
        made["multiValueQueryStringParameters"] = {key: [v for k, v in pairs if k == key] for key, _ in pairs} or None
    if body is not None:
        made["body"] = body or None
    return made


def call(function: ModuleType, given: dict[str, Any]) -> Answer:
    """Give an event to the function's handler, as Lambda does."""
    answered = function.handler(given, Context())
    headers = {name.lower(): values[-1] for name, values in answered["multiValueHeaders"].items()}
    headers |= {name.lower(): value for name, value in answered["headers"].items()}
    return Answer(answered["statusCode"], answered["body"], headers)
