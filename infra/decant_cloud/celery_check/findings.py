"""Findings in a file of Celery code, from its syntax tree."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from decant.celery import app, conf, control, definition
from decant_cloud.findings import Finding, Kind

__all__ = ["findings"]


_CALLS = {
    "then": "result.then() does not exist. Link a task: `sig.link(callback.s())`.",
    "add_to_chord": "add_to_chord does not exist. Replace the task: `self.replace(group(…))`.",
    "stamp": "Stamping does not exist. Pass the values as arguments, or as headers= of apply_async.",
}
_ROUTES = {"route", "get", "post", "put", "patch", "delete", "before_request", "after_request"}
_DIFFERENT_OPTIONS = {
    "rate_limit": "counts over all workers, not for each.",
    "soft_time_limit": "interrupts a synchronous task at its next line of Python, not within time.sleep().",
}
_APP_PARTS = {"amqp", "events", "log", "control", "tasks"}
_POOLS = {"gevent", "eventlet"}
_APP_NAMES = {"app", "celery", "celery_app"}
_STARTS = {"delay", "apply_async"}


def findings(path: Path, source: str) -> list[Finding]:
    """All findings of a file, in the order of their lines; none for a file that does not use Celery.

    Raises:
        SyntaxError: the file is not Python.
    """
    tree = ast.parse(source, str(path))
    if not any(_imports_celery(node) for node in ast.walk(tree)):
        return []
    names = {node.name for node in _functions(tree) if _task_decorator(node) is not None}
    found = [finding for node in ast.walk(tree) for finding in _of_node(node)]
    found += [finding for node in _functions(tree) for finding in _of_function(node, names)]
    if names and path.name == "app.py" and path.parent.parent.name == "functions":
        found.append(Finding(1, Kind.CHANGE, "Tasks in a function's app.py: move them to a module in shared/domain."))
    return sorted(set(found))


def _imports_celery(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.level == 0 and (node.module or "").split(".")[0] in {"celery", "kombu"}) or _is_ours(node.module)
    return isinstance(node, ast.Import) and any(alias.name.split(".")[0] in {"celery", "kombu"} for alias in node.names)


def _is_ours(module: str | None) -> bool:
    return module is not None and (module == "decant.celery" or module.startswith("decant.celery."))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _of_node(node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        yield from _of_import(node)
    elif isinstance(node, ast.Import):
        yield from _of_module_import(node)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Attribute):
        yield from _of_attribute(node)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Attribute) and _ends_in(target.value, "conf"):
                yield from _of_setting(target.attr, node.value, node.lineno)


def _of_module_import(node: ast.Import) -> Iterator[Finding]:
    for alias in node.names:
        if alias.name.split(".")[0] == "kombu":
            yield Finding(node.lineno, Kind.CHANGE, "kombu: there is no broker; a queue is a name.")
        elif alias.name.split(".")[0] == "celery":
            yield Finding(node.lineno, Kind.IMPORT, f"import {alias.name}")


def _of_import(node: ast.ImportFrom) -> Iterator[Finding]:
    module = node.module or ""
    if module.split(".")[0] == "kombu":
        yield Finding(node.lineno, Kind.CHANGE, "kombu: there is no broker; a queue is a name.")
        return
    if module.split(".")[0] != "celery" and not _is_ours(module):
        return
    if not _is_ours(module):
        yield Finding(node.lineno, Kind.IMPORT, f"from {module} import …")
    target = module if _is_ours(module) else f"decant.{module}"
    for alias in node.names:
        problem = _missing(target, alias.name)
        if problem:
            yield Finding(node.lineno, Kind.CHANGE, problem)


def _missing(module: str, name: str) -> str | None:
    """Why a name cannot be imported; None when it can."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        return f"{module.removeprefix('decant.')} has no counterpart in decant.celery."
    try:
        getattr(found, name)
    except NotImplementedError as error:
        return str(error)
    except AttributeError:
        try:
            importlib.import_module(f"{module}.{name}")
        except ImportError:
            return f"{module.removeprefix('decant.')}.{name} has no counterpart in decant.celery."
    return None


def _of_call(node: ast.Call) -> Iterator[Finding]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    if name == "Celery":
        for part in sorted(keywords.keys() & _APP_PARTS):
            yield Finding(node.lineno, Kind.CHANGE, f"Celery({part}=…): this part does not exist. Remove the argument.")
    if name == "solar":
        yield Finding(node.lineno, Kind.CHANGE, "solar schedules do not exist. Use crontab.")
    if isinstance(node.func, ast.Attribute) and name in _CALLS and not (name == "then" and len(node.args) != 1):
        yield Finding(node.lineno, Kind.CHANGE, _CALLS[name])
    if name == "update" and isinstance(node.func, ast.Attribute) and _ends_in(node.func.value, "conf"):
        for setting, value in keywords.items():
            yield from _of_setting(setting, value, node.lineno)
    if name in {"apply_async", "set"} and _text(keywords.get("serializer")) not in {None, "json"}:
        yield Finding(node.lineno, Kind.CHANGE, "serializer: arguments are JSON. Remove the option.")


def _of_setting(name: str, value: ast.expr, line: int) -> Iterator[Finding]:
    setting, given = name.lower(), _text(value)
    if setting == "worker_pool" and given in _POOLS:
        yield Finding(line, Kind.CHANGE, f"worker_pool={given!r}: use `async def` tasks. Remove the setting.")
    elif setting in conf.WITHOUT_EFFECT:
        yield Finding(line, Kind.DIFFERS, f"The setting {name} has no effect. {conf.WITHOUT_EFFECT[setting]}")
    elif setting in {"task_serializer", "result_serializer"} and given not in {None, "json"}:
        yield Finding(line, Kind.CHANGE, f"{name}={given!r}: arguments and results are JSON. Remove the setting.")


def _of_attribute(node: ast.Attribute) -> Iterator[Finding]:
    if _ends_in(node.value, "control") and node.attr in control.INSTEAD:
        text = f"app.control.{node.attr} does not exist. {control.INSTEAD[node.attr]}"
        yield Finding(node.lineno, Kind.CHANGE, text)
    if isinstance(node.value, ast.Name) and node.value.id in _APP_NAMES and node.attr in app.ABSENT:
        yield Finding(node.lineno, Kind.CHANGE, f"app.{node.attr} does not exist: tasks are rows in PostgreSQL.")


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, tasks: set[str]) -> Iterator[Finding]:
    decorator = _task_decorator(node)
    if decorator is not None:
        yield Finding(node.lineno, Kind.TASK, node.name)
        yield from _of_options(decorator)
    if any(_is_route(decorator) for decorator in node.decorator_list):
        for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id in tasks:
                text = f"{call.func.id}() runs in the view. Is {call.func.id}.delay() meant?"
                yield Finding(call.lineno, Kind.DIFFERS, text)
    if isinstance(node, ast.AsyncFunctionDef):
        for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
            if _waits(call):
                text = "Waiting for a result in a coroutine: `await decant.tasks.AsyncResult(result.id).get()`."
                yield Finding(call.lineno, Kind.CHANGE, text)


def _of_options(decorator: ast.expr) -> Iterator[Finding]:
    if not isinstance(decorator, ast.Call):
        return
    options = {keyword.arg: keyword.value for keyword in decorator.keywords if keyword.arg}
    for option, value in options.items():
        if option in definition.UNSUPPORTED_OPTIONS:
            text = f"The option {option}: {definition.UNSUPPORTED_OPTIONS[option]}"
            yield Finding(decorator.lineno, Kind.CHANGE, text)
        elif option in definition.OPTIONS_WITHOUT_EFFECT:
            text = f"The option {option} has no effect. {definition.OPTIONS_WITHOUT_EFFECT[option]}"
            yield Finding(decorator.lineno, Kind.DIFFERS, text)
        elif option == "serializer" and _text(value) not in {None, "json"}:
            yield Finding(decorator.lineno, Kind.CHANGE, "serializer: arguments are JSON. Remove the option.")
        elif option in _DIFFERENT_OPTIONS:
            yield Finding(decorator.lineno, Kind.DIFFERS, f"{option} {_DIFFERENT_OPTIONS[option]}")


def _task_decorator(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.expr | None:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Attribute) and called.attr == "task":
            return decorator
        if isinstance(called, ast.Name) and called.id in {"shared_task", "task"}:
            return decorator
    return None


def _is_route(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr in _ROUTES


def _waits(call: ast.Call) -> bool:
    """Whether it is `x.delay(…).get()` or the like."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr in {"get", "wait", "join"}):
        return False
    inner = function.value
    return isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in _STARTS


def _ends_in(node: ast.expr, name: str) -> bool:
    return getattr(node, "attr", getattr(node, "id", None)) == name


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
