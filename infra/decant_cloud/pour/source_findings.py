"""Findings in the source of a Flask application: what works differently in Lambda, and what to do."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from decant_cloud.findings import Finding, Kind

__all__ = ["DATABASE_VARIABLES", "SQLITE", "STATE", "findings", "variables"]

SQLITE = "SQLite"
STATE = "State in the process"
"""Beginnings of the texts of findings because of which an application cannot be split."""

DATABASE_VARIABLES = ("DATABASE_URL", "DATABASE_URI", "SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_DATABASE_URL", "DB_URL")

_TASKS = "Declare its jobs with `@task` of decant.tasks and enqueue them with `delay()`."
_MODULES = {
    "rq": f"RQ needs a worker and Redis. {_TASKS}",
    "flask_rq2": f"RQ needs a worker and Redis. {_TASKS}",
    "redis": "Redis must be reachable from Lambda. For jobs use `@task`, for cached values and locks PostgreSQL.",
    "celery": "Celery needs a worker and a broker. Change the import to decant.celery: `decant celery check --fix`.",
    "flask_socketio": "Websockets do not reach a function behind a REST API. Send server-sent events with `stream()`.",
    "flask_sock": "Websockets do not reach a function behind a REST API. Send server-sent events with `stream()`.",
    "apscheduler": "A scheduler does not run between requests. Use `@task(schedule=cron(…))`.",
    "flask_apscheduler": "A scheduler does not run between requests. Use `@task(schedule=cron(…))`.",
    "schedule": "A scheduler does not run between requests. Use `@task(schedule=cron(…))`.",
    "pymysql": "MySQL must be reachable from Lambda, and tasks need PostgreSQL. Move the tables to PostgreSQL.",
    "MySQLdb": "MySQL must be reachable from Lambda, and tasks need PostgreSQL. Move the tables to PostgreSQL.",
    "psycopg2": "psycopg2 blocks asynchronous views. `decant.db` does not.",
}
_IN_SQLITE = f"{SQLITE}: every execution environment has its own data and loses it. Move the tables to PostgreSQL."
_CALLS = {
    "sqlite3.connect": (Kind.CHANGE, _IN_SQLITE),
    "threading.Thread": (Kind.CHANGE, f"A thread does not run between requests. {_TASKS}"),
    "ThreadPoolExecutor": (Kind.DIFFERS, "Threads do not run between requests: wait for their results in the view."),
    "multiprocessing.Process": (Kind.CHANGE, f"A process does not run between requests. {_TASKS}"),
    "SocketIO": (Kind.CHANGE, _MODULES["flask_socketio"]),
    "send_file": (Kind.DIFFERS, "Responses above 6 MB fail, unless the function streams them; see docs/bridge.md."),
}
_BLOCKING = (
    "time.sleep",
    "requests.",
    "urllib.request.",
    "subprocess.",
    "sqlite3.",
    "psycopg2.",
    "db.session.",
    "open",
)
_ROUTES = {"route", "get", "post", "put", "patch", "delete"}
_WRITES = "Only /tmp can be written to, and it is lost with the execution environment. Store files in S3."
_MUTATIONS = {"append", "add", "update", "setdefault", "pop", "clear", "extend", "insert", "remove"}
_SETTINGS: Mapping[tuple[str, str], tuple[Kind, str]] = {
    ("SESSION_TYPE", "filesystem"): (Kind.CHANGE, f"{STATE}: sessions on disk. Set SESSION_TYPE to sqlalchemy."),
    ("SESSION_TYPE", "cachelib"): (Kind.CHANGE, f"{STATE}: sessions on disk. Set SESSION_TYPE to sqlalchemy."),
    ("CACHE_TYPE", "SimpleCache"): (Kind.DIFFERS, "Each execution environment has a cache of its own."),
    ("CACHE_TYPE", "FileSystemCache"): (Kind.CHANGE, f"The cache is on disk. {_WRITES}"),
    ("RATELIMIT_STORAGE_URI", "memory://"): (Kind.DIFFERS, "Each execution environment counts for itself."),
}


def findings(path: Path, source: str) -> list[Finding]:
    """The findings of a file, in the order of its lines.

    Raises:
        SyntaxError: The file is not Python.
    """
    tree = ast.parse(source, str(path))
    names = _imported(tree)
    found = [each for node in ast.walk(tree) for each in _of_node(node, names)]
    found += _of_state(tree)
    return sorted(set(found))


def variables(source: str) -> set[str]:
    """Names of the environment variables that a file reads, by `os.environ` or `os.getenv`."""
    return set(
        re.findall(r"""(?:environ(?:\.get\(|\[)|getenv\(|environ\.setdefault\()\s*["']([A-Z][A-Z0-9_]*)["']""", source)
    )


def _imported(tree: ast.AST) -> dict[str, str]:
    """Full names of what a file imports, by the names that it uses."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
        elif isinstance(node, ast.Import):
            names |= {each.asname: each.name for each in node.names if each.asname}
    return names


def _of_node(node: ast.AST, names: Mapping[str, str]) -> Iterator[Finding]:
    match node:
        case ast.Import(names=aliases):
            yield from _of_modules([each.name for each in aliases], node.lineno)
        case ast.ImportFrom(module=str(module), level=0):
            yield from _of_modules([module], node.lineno)
        case ast.Call():
            yield from _of_call(node, names)
        case ast.Assign(targets=[target, *_], value=ast.Constant(value=value)):
            yield from _of_setting(_key(target), value, node.lineno)
        case ast.AsyncFunctionDef() if any(_is_route(each) for each in node.decorator_list):
            yield from _of_async_view(node, names)
        case ast.Constant(value=str(text)) if text.startswith("sqlite:") and ":memory:" not in text:
            yield Finding(node.lineno, Kind.CHANGE, _IN_SQLITE)
        case ast.Constant(value=str(text)) if text.startswith("mysql"):
            yield Finding(node.lineno, Kind.DIFFERS, _MODULES["pymysql"])
        case ast.Constant(value=str(text)) if text.startswith("postgresql+psycopg2"):
            yield Finding(node.lineno, Kind.DIFFERS, _MODULES["psycopg2"])


def _of_modules(modules: list[str], line: int) -> Iterator[Finding]:
    for module in modules:
        if advice := _MODULES.get(module.split(".")[0]):
            kind = Kind.DIFFERS if module.split(".")[0] in {"redis", "pymysql", "MySQLdb", "psycopg2"} else Kind.CHANGE
            yield Finding(line, kind, advice)


def _of_call(node: ast.Call, names: Mapping[str, str]) -> Iterator[Finding]:
    called = _called(node, names)
    for name, (kind, advice) in _CALLS.items():
        if called == name or called.endswith(f".{name}"):
            yield Finding(node.lineno, kind, advice)
    if called.endswith(("app_context.push", "test_request_context.push")):
        advice = "The pushed context is not that of a request: every request has a context of its own."
        yield Finding(node.lineno, Kind.DIFFERS, advice)
    if _is_write(node, called):
        yield Finding(node.lineno, Kind.CHANGE, f"It writes a file. {_WRITES}")
    for keyword in node.keywords:
        if keyword.arg and isinstance(keyword.value, ast.Constant):
            yield from _of_setting(keyword.arg, keyword.value.value, keyword.value.lineno)


def _is_write(node: ast.Call, called: str) -> bool:
    text = ast.unparse(node)
    if "/tmp" in text or "tempfile" in text:  # noqa: S108  # a text to look for
        return False
    modes = [each.value for each in [*node.args[1:2], *(key.value for key in node.keywords if key.arg == "mode")]
             if isinstance(each, ast.Constant)]  # fmt: skip
    is_opened = called in {"open", "io.open"} and any(
        isinstance(mode, str) and set(mode) & set("wax+") for mode in modes
    )
    is_upload = (
        called.endswith(".save") and bool(node.args) and re.search(r"join|path|filename", ast.unparse(node.args[0]))
    )
    return is_opened or bool(is_upload) or called.endswith((".write_text", ".write_bytes"))


def _of_setting(key: str, value: object, line: int) -> Iterator[Finding]:
    if key.upper() == "SECRET_KEY" and isinstance(value, str) and value:
        yield Finding(line, Kind.FIXED, "SECRET_KEY is in the code. The variable SECRET_KEY replaces it.")
    if (found := _SETTINGS.get((key.upper(), str(value)))) is not None:
        yield Finding(line, *found)


def _of_async_view(view: ast.AsyncFunctionDef, names: Mapping[str, str]) -> Iterator[Finding]:
    for node in ast.walk(view):
        if isinstance(node, ast.Call):
            called = _called(node, names)
            if any(called == each or (each.endswith(".") and called.startswith(each)) for each in _BLOCKING):
                advice = (
                    f"{called}() blocks the event loop in an async view. Use `decant.http`, `decant.db` or a thread."
                )
                yield Finding(node.lineno, Kind.DIFFERS, advice)


def _of_state(tree: ast.Module) -> Iterator[Finding]:
    """Variables of a module that a function changes."""
    containers = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict | ast.List | ast.Set)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)):
        for node in ast.walk(function):
            name = None
            match node:
                case ast.Global(names=[first, *_]):
                    name = first
                case ast.Call(func=ast.Attribute(value=ast.Name(id=changed), attr=method)) if method in _MUTATIONS:
                    name = changed if changed in containers else None
                case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=changed))]):
                    name = changed if changed in containers else None
                case ast.AugAssign(target=ast.Subscript(value=ast.Name(id=changed))):
                    name = changed if changed in containers else None
            if name is not None and isinstance(node, ast.stmt | ast.expr):
                advice = f"{STATE}: {name}. Every execution environment has its own. Store it in PostgreSQL."
                yield Finding(node.lineno, Kind.CHANGE, advice)


def _called(node: ast.Call, names: Mapping[str, str]) -> str:
    """Full name of what is called: `datetime.now` of `datetime.now()`; of a chain of calls, without arguments."""
    parts: list[str] = []
    function: ast.expr = node.func
    while isinstance(function, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(function, ast.Attribute):
            parts.append(function.attr)
        function = function.func if isinstance(function, ast.Call) else function.value
    if isinstance(function, ast.Name):
        parts.append(names.get(function.id, function.id))
    return ".".join(reversed(parts))


def _key(target: ast.expr) -> str:
    """Name of a setting that is assigned: `SECRET_KEY = …`, `app.secret_key = …`, `app.config["SECRET_KEY"] = …`."""
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return str(getattr(target, "attr", getattr(target, "id", "")))


def _is_route(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr in _ROUTES
