"""Pour a public Flask application into a new bundle, start it, and compare it with Flask's own server.

A file `microblog.toml` describes the application in the folder `microblog`; only `application` is needed:

    application = "microblog.py:app"
    commands = ["db upgrade"]                  # of its CLI, for an empty database
    variables = {FLASK_CONFIG = "production"}  # lines of its .env
    varying = ["token: [0-9a-f]+"]             # parts of bodies that differ from one run to the next
    [[requests]]                               # sent after a GET of each path without variables
    path = "/auth/register"
    form = {username = "ada"}                  # a POST, with the page's CSRF token; or json = {…} and method = "PUT"
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from dotenv import dotenv_values

from decant_cloud.local.postgres import free_port, temporary_postgres
from decant_cloud.pour.target import Application, find_application
from tests.loading import ROOT
from tests.parity import facts, serving

__all__ = ["verify"]

_VARYING = (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?", r"[\w-]{20,}\.[\w-]{6}\.[\w-]{20,}")
"""Times, and tokens that itsdangerous has signed."""

_TOKEN = re.compile(r'name="csrf_token"[^>]* value="([^"]+)"')
_PATHS = """
import json, sys
from flask.cli import find_app_by_string
from importlib import import_module
module, _, name = sys.argv[1].partition(":")
rules = list(find_app_by_string(import_module(module), name).url_map.iter_rules())
paths = {rule.rule for rule in rules if "GET" in rule.methods and not rule.arguments}
print(json.dumps([len(rules), sorted(paths, key=lambda path: ("logout" in path, path))]))
"""


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request of the session."""

    path: str
    method: str | None = None
    form: dict[str, str] | None = None
    json: Any = None
    headers: dict[str, str] = {}


class Description(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A file that describes an application."""

    application: str
    commands: list[str] = []
    variables: dict[str, str] = {}
    varying: list[str] = []
    requests: list[Request] = []


def verify(project: Path, file: Path) -> tuple[tuple[int | str, ...], list[str]]:
    """The figures of an application, and a line for each response that differs or for the command that failed."""
    try:
        return _verify(project, msgspec.toml.decode(file.read_text(), type=Description))
    except RuntimeError as error:
        return ("failed",), [f"{project.name}: {error}"]


def _verify(project: Path, described: Description) -> tuple[tuple[int | str, ...], list[str]]:
    varying = [*described.varying, *_VARYING]
    by_hand = _changed_lines(project) + len(described.variables)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="decant-verify-") as scratch:
        Path(scratch).chmod(0o755)  # root's PostgreSQL runs as another user
        clone, bundle = Path(scratch) / project.name, Path(scratch) / "verified"
        shutil.copytree(project, clone, ignore=shutil.ignore_patterns("*.sqlite*", "*.db"))  # not poured either
        with (clone / ".env").open("a") as variables:
            variables.writelines(f"\n{name}={value}" for name, value in described.variables.items())
        target = str(clone / described.application)
        options = ["--into", str(bundle), "--wheels", str(ROOT / "dist"), "--name", "verified"]
        _run([sys.executable, "-m", "decant_cloud", "pour", target, *options], ROOT)
        application = find_application(target, "verified", None)
        with _cloud(bundle, described) as client:
            httpx.get(f"{client.base_url}", timeout=60)
            minutes = (time.monotonic() - started) / 60
            printed = _run([_python(bundle), "-c", _PATHS, application.target], application.folder)
            rules, paths = json.loads(printed.splitlines()[-1])
            received = [facts(each, varying) for each in _session(client, described, paths)]
        with _own_server(bundle, application, described) as client:
            expected = [facts(each, varying) for each in _session(client, described, paths)]
    different = [(found, wanted) for found, wanted in zip(received, expected, strict=True) if found != wanted]
    figures = (rules, f"{minutes:.1f}", by_hand, len(expected), len(expected) - len(different))
    return figures, [f"{project.name}: {each['request']}: {_difference(found, each)}" for found, each in different]


def _changed_lines(project: Path) -> int:
    """Lines that were added or changed since the clone."""
    counted = subprocess.run(
        ["git", "diff", "--numstat", "HEAD"], cwd=project, capture_output=True, text=True, check=False
    )
    return sum(int(line.split()[0]) for line in counted.stdout.splitlines() if line[0].isdigit())


@contextmanager
def _cloud(bundle: Path, described: Description) -> Iterator[httpx.Client]:
    """A client of the poured application in the local cloud, with its tables."""
    port = str(free_port())
    try:
        _run(["make", "up", "DETACH=1", f"PORT={port}"], bundle)
        for command in described.commands:
            _run([str(bundle / ".venv/bin/decant"), "flask", "verified", *shlex.split(command)], bundle)
        url = f"http://127.0.0.1:{port}/_aws/execute-api/verified-api/local"
        with httpx.Client(base_url=url, headers={"Referer": f"https://127.0.0.1:{port}/"}, timeout=60) as client:
            yield client
    finally:
        _run(["make", "down"], bundle)


@contextmanager
def _own_server(bundle: Path, application: Application, described: Description) -> Iterator[httpx.Client]:
    """A client of the application under Flask's own server, with a database of its own."""
    with temporary_postgres() as postgres:
        url = postgres.url(driver="psycopg")
        settings = {name: value for name, value in dotenv_values(bundle / ".env").items() if value}
        variables = settings | dict.fromkeys(("DATABASE_URL", "SQLALCHEMY_DATABASE_URI"), url)
        flask = [_python(bundle), "-m", "flask", "--app", application.target]
        for command in described.commands:
            _run([*flask, *shlex.split(command)], application.folder, **variables)
        with serving([*flask, "run", "--no-debug", "--port", "PORT"], application.folder, variables) as client:
            yield client


def _session(client: httpx.Client, described: Description, paths: list[str]) -> Iterator[httpx.Response]:
    """GET each path, send the requests of the description, and GET each path again when there were some."""
    yield from map(client.get, paths)
    for request in described.requests:
        given: dict[str, Any] = {"headers": request.headers}
        if request.form is not None:
            page = client.get(request.path)
            yield page
            token = _TOKEN.search(page.text)
            given["data"] = request.form | ({"csrf_token": token[1]} if token else {})
        if request.json is not None:
            given["json"] = request.json
        yield client.request(request.method or ("GET" if len(given) == 1 else "POST"), request.path, **given)
    yield from map(client.get, paths if described.requests else ())
    yield client.get("/nothing/is/here")


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first part in which two responses differ."""
    name = next(name for name in wanted if found[name] != wanted[name])
    if name != "body":
        return f"{name} {found[name]}, not {wanted[name]}"
    at = next((i for i, (one, other) in enumerate(zip(found[name], wanted[name], strict=False)) if one != other), 0)
    return f"body has {found[name][at : at + 60]!r}, not {wanted[name][at : at + 60]!r}"


def _python(bundle: Path) -> str:
    return str(bundle / ".venv/bin/python")


def _run(command: list[str], folder: Path, **variables: str) -> str:
    """Run a command that must succeed; returns its standard output."""
    environment = {name: value for name, value in os.environ.items() if name != "DECANT_BUNDLE"} | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout
