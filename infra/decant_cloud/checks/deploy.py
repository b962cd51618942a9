"""Checks a stage before it is deployed: `decant check-deploy prod`."""

import sys
from collections.abc import Callable, Iterator, Sequence

from decant_cloud.checks import (
    callers,
    certificates,
    connections,
    outbound,
    parameters,
    references,
    roles,
    sizes,
    timeouts,
)
from decant_cloud.paths import root
from decant_cloud.template.evaluate import TemplateError
from decant_cloud.template.stage import Stage, configured, read_stage

CHECKS: dict[str, Callable[[Stage], Iterator[str]]] = {
    "parameters": parameters.breaches,
    "callers": callers.breaches,
    "connections": connections.breaches,
    "certificates": certificates.breaches,
    "timeouts": timeouts.breaches,
    "outbound": outbound.breaches,
    "sizes": sizes.breaches,
    "references": references.breaches,
    "roles": roles.breaches,
}


def run(*, stage: str, overrides: Sequence[str] = ()) -> int:
    """Print each breach; the exit status is 1 when there is one.

    Args:
        stage: A stage of samconfig.toml.
        overrides: `Parameter=value`, in place of what samconfig.toml sets.
    """
    try:
        given = configured(root(), stage) | dict(each.split("=", 1) for each in overrides)
        checked = read_stage(root(), stage, given)
    except KeyError:
        print(f"error: samconfig.toml has no stage {stage}", file=sys.stderr)
        return 1
    except TemplateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = [f"{check}: {line}" for check, breaches in CHECKS.items() for line in breaches(checked)]
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    for line in callers.anonymous(checked):
        print(f"public: {line}")
    if not found:
        print(f"{stage} can be deployed{_summary(checked)}")
    return 1 if found else 0


def _summary(stage: Stage) -> str:
    """What it takes of the database, and of the account's concurrency, which no template knows."""
    if stage.is_local:
        return ""
    reserved = sum(int(each.properties.get("ReservedConcurrentExecutions", 0)) for each in stage.functions())
    taken, there_are = sum(connections.wanted(stage).values()), connections.usable(stage)
    return f": up to {taken} of {there_are} connections, and {reserved} of the account's concurrent executions reserved"
