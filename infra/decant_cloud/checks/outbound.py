"""Outbound connections: code that calls external services must run where there is a route to the internet.

A function calls external services when its folder, or a module of `domain` that it imports, imports an HTTP client.
Whether subnets of Database=secret have a route is not known here; only the network of Database=aurora is checked.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from decant_cloud.template.stage import Function, Stage

__all__ = ["CLIENTS", "breaches", "imported"]

CLIENTS = ("decant.http", "httpx", "requests", "urllib3", "aiohttp")


def breaches(stage: Stage) -> Iterator[str]:
    """Functions that call external services from subnets without a route to the internet."""
    if stage.parameters["Database"] != "aurora":
        return
    for function in stage.functions():
        if (
            _is_enclosed(function)
            and (client := imported(CLIENTS, function.folder, stage.folder / "shared")) is not None
        ):
            yield (
                f"{function.logical_id}: it imports {client}, and its subnets have no route to the internet; set Nat, "
                "or leave it out of the network with IgnoreGlobals: [VpcConfig] when it uses no database"
            )


def imported(modules: Iterable[str], folder: Path, shared: Path) -> str | None:
    """The first of some modules that a function's code imports, with the importing file; None when it imports none.

    Args:
        modules: Their names; each stands for the modules inside it, too.
        folder: The function's folder.
        shared: Folder of the package `domain`.
    """
    waiting, seen = sorted(folder.glob("*.py")), set[Path]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for module in _imports(path):
            if any(f"{module}.".startswith(f"{each}.") for each in modules):
                return f"{module} ({path.parent.name}/{path.name})"
            waiting += [each for each in _files(module, shared) if each not in seen]
    return None


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it; `from a import b` is both `a` and `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{each.name}" for each in names)


def _files(module: str, shared: Path) -> list[Path]:
    if not f"{module}.".startswith("domain."):
        return []
    path = shared.joinpath(*module.split("."))
    return [each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()]


def _is_enclosed(function: Function) -> bool:
    """Whether it is in the network, and not in the subnets with a route to the internet."""
    network: Any = function.properties.get("VpcConfig")
    return bool(network) and "InternetSecurityGroupId" not in str(network)
