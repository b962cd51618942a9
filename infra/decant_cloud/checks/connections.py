"""Connections: every environment of every function at once, with a full pool, against what the database accepts."""

import math
from collections.abc import Iterator

from decant_cloud.template.stage import MIGRATION, Function, Stage

__all__ = ["accepted_by", "breaches", "usable", "wanted"]

_LEFT_TO_OTHERS = 20
"""Connections that functions leave to the migration, to RDS itself and to operators."""

_SCHEDULED_EVERY_S = 60


def breaches(stage: Stage) -> Iterator[str]:
    """Where functions could open more connections than there are."""
    if stage.parameters["Database"] == "url":
        return
    unbounded = [each.logical_id for each in _users(stage) if most_environments(each) is None]
    if unbounded:
        yield (
            f"{', '.join(unbounded)}: nothing bounds how many run at once, and so how many connections they open; set "
            "ReservedConcurrency"
        )
    else:
        counts = wanted(stage)
        total, there_are = sum(counts.values()), usable(stage)
        if total > there_are:
            listed = " + ".join(f"{name} {count}" for name, count in counts.items())
            yield f"functions may open {total} connections ({listed}), and there are {there_are} for them"
    if stage.parameters["Database"] == "aurora":
        yield from _beyond_memory(stage)


def wanted(stage: Stage) -> dict[str, int]:
    """How many connections each function can have open at a time, of which it must be known how many run."""
    return {
        each.logical_id: (most_environments(each) or 0) * int(each.variables["DATABASE_POOL_SIZE"])
        for each in _users(stage)
    }


def _users(stage: Stage) -> list[Function]:
    """Functions that use the database, but for the migration, which is one of those that connections are left to."""
    return [each for each in stage.functions() if each.uses_database and each.logical_id != MIGRATION]


def most_environments(function: Function) -> int | None:
    """How many environments of a function there can be; None for any number."""
    reserved = function.properties.get("ReservedConcurrentExecutions")
    if reserved is not None:
        return int(reserved)
    if function.mappings:
        limits = [each.get("ScalingConfig", {}).get("MaximumConcurrency") for each in function.mappings]
        return sum(int(each) for each in limits) if all(limits) else None
    if function.has_route:
        return None
    return math.ceil(function.timeout_s / _SCHEDULED_EVERY_S)


def usable(stage: Stage) -> int:
    """Connections that the database has for functions."""
    there_are = int(stage.parameters["DatabaseMaxConnections"])
    targets = stage.of_type("AWS::RDS::DBProxyTargetGroup", "Cluster") if "Cluster" in stage.stacks else {}
    for each in targets.values():
        there_are = there_are * int(each["ConnectionPoolConfigurationInfo"]["MaxConnectionsPercent"]) // 100
    return there_are - (0 if targets else _LEFT_TO_OTHERS)


def accepted_by(most_acu: float, least_acu: float) -> int:
    """Connections that Aurora's memory is good for.

    Source: Amazon Aurora User Guide, maximum connections for Aurora Serverless v2: 189 at 1 ACU, 823 at 4, 1,669 at 8,
    3,360 at 16, 5,000 at 32; 2,000 at most where the least capacity is below 1.
    """
    return min(int(211 * most_acu) - 22, 2000 if least_acu < 1 else 5000)


def _beyond_memory(stage: Stage) -> Iterator[str]:
    most, least = float(stage.parameters["DatabaseMaxCapacity"]), float(stage.parameters["DatabaseMinCapacity"])
    asked_for = int(stage.parameters["DatabaseMaxConnections"])
    if asked_for > accepted_by(most, least):
        yield (
            f"DatabaseMaxConnections {asked_for} is more than the memory of {least:g} to {most:g} ACU is good for: "
            f"{accepted_by(most, least)}"
        )
