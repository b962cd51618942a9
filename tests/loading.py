"""How tests load the bundle's functions, give them events, and run code in processes of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from decant_cloud.invocation import Context, Response, call, event, load_function, load_module

__all__ = [
    "PYTHONPATH",
    "ROOT",
    "Context",
    "Response",
    "call",
    "event",
    "load_function",
    "load_module",
    "repository_files",
    "rest_request",
    "run_module",
    "run_python",
    "sample",
]

ROOT = Path(__file__).resolve().parents[1]
PYTHONPATH = os.pathsep.join(map(str, (ROOT, ROOT / "shared", ROOT / "infra")))
"""Where processes that tests start find the tests, the library and the tooling."""


def run_python(code: str) -> str:
    """Run code in a process of its own, with this one's environment; its standard output."""
    return _run_python("-c", code)


def run_module(name: str, *arguments: str) -> str:
    """Run a module as a command in a process of its own, with this one's environment; its standard output."""
    return _run_python("-m", name, *arguments)


def _run_python(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    command = [sys.executable, *arguments]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=True)
    return finished.stdout


def repository_files() -> list[str]:
    """Paths of the files in the working tree that git tracks or does not ignore, relative to the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


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
