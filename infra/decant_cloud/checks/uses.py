"""Properties that a function's block in `template.yaml` needs for what its code uses: `decant check`.

`delay()`, the database, `decant.auth` and HTTP clients need a role, a layer, or a place outside of the network. The
code is read, not run; `make check-deploy` examines a stage with all its parameters.
"""

import ast
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from decant_cloud.checks.outbound import CLIENTS, imported
from decant_cloud.layer.wrapper import PATH
from decant_cloud.paths import root
from decant_cloud.template.model import Function, Template

__all__ = ["misdefined", "missing"]

_DATABASE = ("decant.console", "decant.db", "decant.tasks", "decant.worker", "decant.workflows")
_TOKENS = ("decant.auth", "decant.authorizer", "decant.tokens")
_WORKFLOWS = ("decant.workflows",)
_ENQUEUES = frozenset({"apply_async", "delay", "delay_many"})
_RESUMES = frozenset({"fork", "rewind", "send", "start"})
"""Methods of workflows and runs that enqueue, in code that imports them."""
_ROLES = ("PlainRoleArn", "DatabaseRoleArn", "TasksRoleArn")
"""Outputs of the stack Access, each with more access than those before it; other roles are not examined."""


def run() -> int:
    """Print the lines that are missing; the exit status is 1 when there are some."""
    template = Template(root())
    found = [line for function in template.functions().values() for line in missing(function, template)]
    found += misdefined(template)
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    return 1 if found else 0


def misdefined(template: Template) -> Iterator[str]:
    """What API Gateway would reject of the definition that SAM merges with the routes."""
    where, paths = "template.yaml's DefinitionBody", template.open_paths()
    for path in sorted({*paths} - {route.path for route in template.routes()}):
        yield f"{where} has {path}, and no function has a route of this path; remove the line"
    for route in template.routes() if paths else ():
        if route.method == "ANY":
            yield (
                f"{where} is merged with the route ANY {route.path}, whose method SAM would write as `any`, which API "
                "Gateway does not have; list the methods of the route, or remove MergeDefinitions and DefinitionBody"
            )


def missing(function: Function, template: Template) -> Iterator[str]:
    """What a function's block lacks, with the line of the template to add or change."""
    resource = template.document["Resources"][function.logical_id]
    properties, ignored = function.properties, resource.get("IgnoreGlobals", [])
    shared = template.root / "shared"
    where = f"template.yaml's {function.logical_id}"
    try:
        resumes = _RESUMES if imported(_WORKFLOWS, function.folder, shared) else frozenset()
        calls = _calls(function.folder, _ENQUEUES | resumes)
        database = imported(_DATABASE, function.folder, shared)
        client = imported(CLIENTS, function.folder, shared)
        tokens = imported(_TOKENS, function.folder, shared)
    except SyntaxError as error:
        yield f"{error.filename}: {error.msg}, line {error.lineno}"
        return
    if calls is not None and _rank(properties.get("Role")) < _ROLES.index("TasksRoleArn"):
        yield f"{where} enqueues tasks ({calls}); it needs `Role: !GetAtt Access.Outputs.TasksRoleArn`"
    elif database is not None and _rank(properties.get("Role")) < _ROLES.index("DatabaseRoleArn"):
        yield f"{where} imports {database}; it needs `Role: !GetAtt Access.Outputs.DatabaseRoleArn`"
    if database is not None and "VpcConfig" in ignored:
        yield f"{where} imports {database}; the database is in the network: remove `IgnoreGlobals: [VpcConfig]`"
    if tokens is not None and "AuthLayer" not in str(properties.get("Layers", "")):
        yield f"{where} imports {tokens}; it needs `Layers: [!Ref AuthLayer]`"
    if client is not None and database is None and "VpcConfig" not in ignored and "VpcConfig" not in properties:
        yield f"{where} imports {client}; it needs `IgnoreGlobals: [VpcConfig]` to reach the internet"
    yield from _streaming(function, where)


def _streaming(function: Function, where: str) -> Iterator[str]:
    """Where the code, the runtime and the API do not agree on whether the function streams its responses."""
    if not _streams(function.folder):
        if any(route.streams for route in function.routes):
            yield f"{where} has `ResponseTransferMode`; its code needs `lambda_handler(app, streaming=True)`"
        return
    if not all(route.streams for route in function.routes):
        yield f"{where} streams responses; its routes need `ResponseTransferMode: RESPONSE_STREAM`"
    if function.variables.get("AWS_LAMBDA_EXEC_WRAPPER") != PATH:
        needed = f"Environment: {{Variables: {{AWS_LAMBDA_EXEC_WRAPPER: {PATH}}}}}"
        yield f"{where} streams responses; it needs `{needed}`"


def _streams(folder: Path) -> bool:
    """Whether the code calls a function with `streaming=True`."""
    return any(
        node.arg == "streaming" and isinstance(node.value, ast.Constant) and node.value.value is True
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(), str(path)))
        if isinstance(node, ast.keyword)
    )


def _rank(role: Any) -> int:
    """Index of a function's role in `_ROLES`; their number for a role that is not examined."""
    if role is None:
        return 0
    return next((rank for rank, name in enumerate(_ROLES) if name in str(role)), len(_ROLES))


def _calls(folder: Path, names: Collection[str]) -> str | None:
    """The first call that enqueues a task in a folder, with its file."""
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
                return f"{node.func.attr}() in {path.name}"
    return None
