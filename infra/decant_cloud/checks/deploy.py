"""Checks a stage before it is deployed: `python -m decant_cloud.checks.deploy prod`."""

import argparse
import sys
from collections.abc import Callable, Iterator

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


def main() -> int:
    """Print each breach; the exit status is 1 when there is one."""
    parser = argparse.ArgumentParser(prog="make check-deploy", description="Check a stage before it is deployed.")
    parser.add_argument("stage", help="a stage of samconfig.toml")
    parser.add_argument("overrides", nargs="*", metavar="Parameter=value", help="over what samconfig.toml sets")
    arguments = parser.parse_args()
    try:
        given = configured(root(), arguments.stage) | dict(each.split("=", 1) for each in arguments.overrides)
        stage = read_stage(root(), arguments.stage, given)
    except KeyError:
        print(f"error: samconfig.toml has no stage {arguments.stage}", file=sys.stderr)
        return 1
    except TemplateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = [f"{check}: {line}" for check, breaches in CHECKS.items() for line in breaches(stage)]
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    for line in callers.anonymous(stage):
        print(f"public: {line}")
    if not found:
        print(f"{arguments.stage} can be deployed{_summary(stage)}")
    return 1 if found else 0


def _summary(stage: Stage) -> str:
    """What it takes of the database, and of the account's concurrency, which no template knows."""
    if stage.is_local:
        return ""
    reserved = sum(int(each.properties.get("ReservedConcurrentExecutions", 0)) for each in stage.functions())
    taken, there_are = sum(connections.wanted(stage).values()), connections.usable(stage)
    return f": up to {taken} of {there_are} connections, and {reserved} of the account's concurrent executions reserved"


if __name__ == "__main__":
    sys.exit(main())
