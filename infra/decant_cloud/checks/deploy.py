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
    "timeouts": timeouts.breaches,
    "outbound": outbound.breaches,
    "sizes": sizes.breaches,
    "references": references.breaches,
    "roles": roles.breaches,
}


def run(*, stage: str, strict: bool = False, overrides: Sequence[str] = ()) -> int:
    """Print each breach; the exit status is 1 when there is one.

    Args:
        stage: A stage of samconfig.toml.
        overrides: `Parameter=value`, in place of what samconfig.toml sets.
        strict: Whether a file that has to be downloaded before the deployment must be there.
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
    found, missing = breaches(checked), list(certificates.breaches(checked))
    if strict:
        found += missing
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    for line in callers.anonymous(checked):
        print(f"public: {line}")
    if not found:
        print(f"{stage} can be deployed{_summary(checked)}")
        for line in missing:
            print(f"missing: {line}")
    return 1 if found else 0


def breaches(stage: Stage) -> list[str]:
    """Everything that would fail or be unsafe in a deployment of the stage, a line each."""
    return [f"{name}: {line}" for name, check in CHECKS.items() for line in check(stage)]


def findings(name: str) -> list[str]:
    """The breaches of a stage of samconfig.toml, for the bundle's own tests."""
    return breaches(read_stage(root(), name, configured(root(), name)))


def _summary(stage: Stage) -> str:
    """What it takes of the database, and of the account's concurrency, which is in no template."""
    if stage.is_local:
        return ""
    reserved = sum(int(each.properties.get("ReservedConcurrentExecutions", 0)) for each in stage.functions())
    taken, there_are = sum(connections.wanted(stage).values()), connections.usable(stage)
    return f": up to {taken} of {there_are} connections, and {reserved} of the account's concurrent executions reserved"
