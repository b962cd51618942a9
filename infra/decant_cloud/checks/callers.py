"""Callers: the limit of each of them, and the routes and the load at which anonymous callers fill a public stage.

A route is restricted when its function calls `auth.require`, which rejects callers without a token. A route is
expensive when its view has the decorator `limit_per_caller`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from decant.config import read
from decant.tasks.options import TaskSettings
from decant_cloud.checks.connections import most_environments
from decant_cloud.scaffold.limits import refers_to
from decant_cloud.template.stage import Function, Stage

__all__ = ["OPEN", "anonymous", "breaches"]

MIN_CALLER_RATE = 10
OPEN = {"NONE", "api_key_false"}
"""Marks of SAM, which API Gateway does not read as requirements, for routes without token and without key."""
_ANY = "x-amazon-apigateway-any-method"

type Route = tuple[str, str]
"""Method and path."""

_VARIABLE = re.compile("{[^}]*}")


def breaches(stage: Stage) -> Iterator[str]:
    """Stages and expensive routes whose callers are not limited separately: one caller uses up the rate of all."""
    if stage.is_local:
        return
    if stage.parameters["Auth"] in {"jwt", "public"} and stage.parameters["Waf"] != "true":
        yield (
            f"Auth={stage.parameters['Auth']} without Waf=true: no caller is limited separately, and the requests of "
            "one caller use up ApiRate and TaskRate"
        )
    if int(stage.parameters["CallerRate"]) < MIN_CALLER_RATE:
        yield f"CallerRate {stage.parameters['CallerRate']} is below {MIN_CALLER_RATE}, the least that WAF accepts"
    folders = {route: function.folder for function in stage.functions() for route in _routes(function)}
    expensive = {route for route, folder in folders.items() if refers_to(folder, "limit_per_caller")}
    for limit, limited in _limited(stage, folders).items():
        for method, path in sorted(expensive - limited):
            yield f"{method} {path} has limit_per_caller and is not in {limit} of infra/edge.yaml; run `decant limits`"
        for method, path in sorted(limited - expensive):
            yield (
                f"{method} {path} is in {limit} of infra/edge.yaml, and its view has no limit_per_caller; "
                "run `decant limits`"
            )


def anonymous(stage: Stage) -> Iterator[str]:
    """Routes that anonymous callers can read or fill: those without a key or token, of a public stage all of them."""
    if stage.is_local:
        return
    [api] = stage.of_type("AWS::ApiGateway::RestApi").values()
    for function in stage.functions():
        folder = function.folder
        for method, path in _routes(function):
            schemes = {scheme for each in _security(api, method, path) for scheme in each}
            if schemes <= OPEN and not refers_to(folder, "auth.require"):
                reads = "read and fill" if method == "GET" else "fill"
                limit = stage.parameters["CallerRate"] if refers_to(folder, "limit_per_caller") else None
                yield (
                    f"{method} {path}: anonymous callers can {reads} it; {_capacity(stage, function)}; "
                    + (f"at most {limit} requests a minute of a caller" if limit else "no limit per caller but WafRate")
                )


def _limited(stage: Stage, routes: Iterable[Route]) -> dict[str, set[Route]]:
    """Routes whose callers are limited before a function runs, by the resource that limits them."""
    found: dict[str, set[Route]] = {}
    if "Edge" not in stage.stacks:
        return found
    for name, plan in stage.of_type("AWS::ApiGateway::UsagePlan", "Edge").items():
        methods = plan["ApiStages"][0]["Throttle"]
        found[name] = {(method, path) for method, path in routes if f"{path}/{method}" in methods}
    for name, acl in stage.of_type("AWS::WAFv2::WebACL", "Edge").items():
        [rule] = (each["Statement"]["RateBasedStatement"] for each in acl["Rules"] if each["Name"] == "callers")
        paths = re.compile(rule["ScopeDownStatement"]["RegexMatchStatement"]["RegexString"])
        found[name] = {route for route in routes if paths.search(_VARIABLE.sub("-", route[1]))}
    return found


def _capacity(stage: Stage, function: Function) -> str:
    """The rate that fills a route's environments, and the slots of the worker that runs its tasks."""
    environments = most_environments(function)
    if environments is None:
        text = "nothing limits its environments"
    else:
        text = _rate(f"{environments} environments", environments, function.timeout_s)
    if "sqs:SendMessage" in function.actions:
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


def _routes(function: Function) -> list[Route]:
    return [(each.method, each.path) for each in function.routes]


def _security(api: Mapping[str, Any], method: str, path: str) -> Sequence[Mapping[str, Any]]:
    """What the API requires of a caller of the route."""
    operations = api["Body"]["paths"][path]
    operation = operations[_ANY if method == "ANY" else method.lower()]
    required: Sequence[Mapping[str, Any]] = operation.get("security", ())
    return required
