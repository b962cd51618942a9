"""Check timeouts: every caller's timeout must exceed its callee's, or work is interrupted or done twice."""

import importlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from decant.config import read
from decant.db.settings import DatabaseSettings
from decant.http import HttpSettings
from decant.tasks.registry import registry
from decant_cloud.template.stage import MIGRATION, Function, Stage

__all__ = ["breaches"]

GATEWAY_S = 29
"""How long API Gateway waits for a function. Source: Amazon API Gateway quotas, REST API, integration timeout."""

STREAM_S = 900
"""How long API Gateway passes on a streamed response. Source: API Gateway Developer Guide, response streaming."""

_VISIBILITY_FACTOR = 6
"""Source: AWS Lambda Developer Guide, using Lambda with Amazon SQS, visibility timeout."""

_FOR_THE_ANSWER_S = 1
"""Seconds that a function needs after its last statement or call to respond with the timeout."""


def breaches(stage: Stage) -> Iterator[str]:
    """Callers whose timeout ends before that of what they call."""
    for function in stage.functions():
        yield from _route(function)
        for mapping in function.mappings:
            yield from _queue(stage, function, mapping)
    yield from _migration(stage)
    yield from _proxy(stage)


def _route(function: Function) -> Iterator[str]:
    if not function.has_route:
        return
    name, limit_s = function.logical_id, function.timeout_s
    if not all(route.streams for route in function.routes) and limit_s >= GATEWAY_S:
        yield f"{name}: its timeout of {limit_s:g} s must be below the {GATEWAY_S} s that the gateway waits"
    elif limit_s > STREAM_S:
        yield f"{name}: its timeout of {limit_s:g} s is above the {STREAM_S} s of a streamed response"
    texts = {key: value for key, value in function.variables.items() if isinstance(value, str)}
    waits = {"HTTP_TIMEOUT_S": read(HttpSettings, texts).timeout_s}
    if function.uses_database:
        database = read(DatabaseSettings, texts)
        waits["DATABASE_CONNECT_TIMEOUT_S"] = database.connect_timeout_s
        waits["DATABASE_STATEMENT_TIMEOUT_S"] = database.statement_timeout_s
    for variable, wait_s in waits.items():
        if wait_s + _FOR_THE_ANSWER_S > limit_s:
            yield f"{name}: its timeout of {limit_s:g} s must be above {variable}, {wait_s:g} s"


def _queue(stage: Stage, function: Function, mapping: Mapping[str, Any]) -> Iterator[str]:
    queues = stage.of_type("AWS::SQS::Queue")
    source = mapping["EventSourceArn"]
    queue_name = source["Fn::GetAtt"][0] if isinstance(source, dict) else ""
    if queue_name not in queues:
        yield f"{function.logical_id}: it reads a queue that is not there, {source}"
        return
    queue = queues[queue_name]
    needed_s = _VISIBILITY_FACTOR * function.timeout_s + float(mapping.get("MaximumBatchingWindowInSeconds", 0))
    visible_s = float(queue.get("VisibilityTimeout", 30))
    if visible_s < needed_s:
        yield (
            f"{queue_name}: VisibilityTimeout {visible_s:g} s is below {needed_s:g} s, {_VISIBILITY_FACTOR} times the "
            f"timeout of {function.logical_id}"
        )
    if not _is_dead_letters(queues, queue_name):
        yield from _redrive(queues, queue_name)


def _is_dead_letters(queues: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Whether it is where another queue's messages end: there is nowhere for them to go from there."""
    policies = [policy for queue in queues.values() if (policy := queue.get("RedrivePolicy")) is not None]
    return {"Fn::GetAtt": [name, "Arn"]} in [policy["deadLetterTargetArn"] for policy in policies]


def _redrive(queues: Mapping[str, Mapping[str, Any]], name: str) -> Iterator[str]:
    policy = queues[name].get("RedrivePolicy")
    if policy is None:
        yield f"{name}: it has no RedrivePolicy, so a message that always fails is received without end"
        return
    attempts = _most_attempts()
    if int(policy["maxReceiveCount"]) <= attempts:
        yield f"{name}: maxReceiveCount {policy['maxReceiveCount']} must be above the {attempts} runs of a task"
    target = policy["deadLetterTargetArn"]["Fn::GetAtt"][0]
    kept_s = float(queues[name].get("MessageRetentionPeriod", 345600))
    dead_kept_s = float(queues[target].get("MessageRetentionPeriod", 345600))
    if dead_kept_s <= kept_s:
        # SQS counts a message's age from its first queue on.
        yield f"{target}: MessageRetentionPeriod {dead_kept_s:g} s must be above {name}'s, {kept_s:g} s"


def _most_attempts() -> int:
    importlib.import_module("domain.tasks")
    return max(((each.options.max_retries or 0) + 1 for each in registry.values()), default=1)


def _migration(stage: Stage) -> Iterator[str]:
    migrate = next(each for each in stage.functions() if each.logical_id == MIGRATION)
    patience_s = float(stage.of_type("Custom::Migration")["Migration"]["ServiceTimeout"])
    if patience_s <= migrate.timeout_s:
        yield f"Migration: ServiceTimeout {patience_s:g} s must be above Migrate's timeout, {migrate.timeout_s:g} s"


def _proxy(stage: Stage) -> Iterator[str]:
    if "Cluster" not in stage.stacks:
        return
    with_pool = [each for each in stage.functions() if each.has_route and each.uses_database]
    least_s = min((each.timeout_s for each in with_pool), default=math.inf)
    for target in stage.of_type("AWS::RDS::DBProxyTargetGroup", "Cluster").values():
        limit_s = int(target["ConnectionPoolConfigurationInfo"]["InitQuery"].rpartition("=")[2]) / 1000
        if limit_s + _FOR_THE_ANSWER_S > least_s:
            yield f"Cluster: statements may take {limit_s:g} s through the proxy, and a route's function {least_s:g} s"
