"""Callers: the routes that a public stage offers to everybody, and the load at which anonymous callers fill it.

A route is restricted when its function calls `auth.require`, which rejects callers without a token.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from decant.config import read
from decant.tasks.options import TaskSettings
from infra.build.deploy_check.connections import most_environments
from infra.build.deploy_check.stage import Function, Stage

__all__ = ["anonymous", "breaches"]

ROOT = Path(__file__).resolve().parents[3]


def breaches(stage: Stage) -> Iterator[str]:
    """Stages whose callers are not limited separately, so that the requests of one caller use up the rate of all."""
    if not stage.is_local and stage.parameters["Auth"] in {"jwt", "public"} and stage.parameters["Waf"] != "true":
        yield (
            f"Auth={stage.parameters['Auth']} without Waf=true: no caller is limited separately, and the requests of "
            "one caller use up ApiRate and TaskRate"
        )


def anonymous(stage: Stage) -> Iterator[str]:
    """Routes that anonymous callers can read or fill; nothing for a stage that is not public."""
    if stage.is_local or stage.parameters["Auth"] != "public":
        return
    for function in stage.functions():
        for method, path in _routes(stage.template, function.logical_id):
            if not _requires_a_scope(_folder(stage.template, function.logical_id)):
                reads = "read and fill" if method == "GET" else "fill"
                yield f"{method} {path}: anonymous callers can {reads} it; {_capacity(stage, function)}"


def _capacity(stage: Stage, function: Function) -> str:
    """The rate that fills a route's environments, and the slots of the worker that runs its tasks."""
    environments = most_environments(function)
    if environments is None:
        text = "nothing limits its environments"
    else:
        text = _rate(f"{environments} environments", environments, function.timeout_s)
    if "TASK_QUEUE_URLS" in function.variables:
        text += f"; {_worker_capacity(stage)}"
    return text


def _worker_capacity(stage: Stage) -> str:
    """The slots of the first worker of the template: that of the default queue."""
    worker = next(each for each in stage.functions() if each.mappings)
    texts = {name: value for name, value in worker.variables.items() if isinstance(value, str)}
    environments = most_environments(worker) or 0
    at_once = min(read(TaskSettings, texts).concurrency, int(worker.mappings[0].get("BatchSize", 10)))
    slots = environments * at_once
    return _rate(
        f"{worker.logical_id} has {environments} environments x {at_once} tasks = {slots} slots",
        slots,
        worker.timeout_s,
    )


def _rate(what: str, slots: int, longest_s: float) -> str:
    return f"{what}, filled by {slots / longest_s:.2g} requests/s of {longest_s:g} s"


def _routes(template: Mapping[str, Any], function: str) -> list[tuple[str, str]]:
    events = template["Resources"][function]["Properties"].get("Events", {}).values()
    return [(each["Properties"]["Method"], each["Properties"]["Path"]) for each in events if each["Type"] == "Api"]


def _folder(template: Mapping[str, Any], function: str) -> Path:
    return ROOT / str(template["Resources"][function]["Properties"]["CodeUri"])


def _requires_a_scope(folder: Path) -> bool:
    """Whether the function's own code calls `auth.require`."""
    calls = (
        node.func
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    )
    return any(isinstance(call, ast.Attribute) and ast.unparse(call) == "auth.require" for call in calls)
