"""Roles: one for each function, with no wildcard but where IAM has nothing narrower."""

from collections.abc import Iterator, Mapping
from typing import Any

from decant_cloud.template.stage import Stage

__all__ = ["breaches"]

UNBOUND = {
    "xray:PutTraceSegments": "X-Ray has no resources for traces",
    "xray:PutTelemetryRecords": "likewise",
    "ec2:AssignPrivateIpAddresses": "Lambda asks for it before there is an interface to name",
    "ec2:CreateNetworkInterface": "likewise",
    "ec2:DeleteNetworkInterface": "likewise",
    "ec2:DescribeNetworkInterfaces": "EC2 describes all or nothing",
    "ec2:DescribeSubnets": "likewise",
    "ec2:UnassignPrivateIpAddresses": "likewise",
}
"""Actions that are allowed on any resource, and why.

Source: Service Authorization Reference; AWS Lambda Developer Guide, giving functions access to a VPC.
"""


def breaches(stage: Stage) -> Iterator[str]:
    """Roles that are shared, and permissions wider than what is used."""
    yield from _shared(stage)
    for nested in stage.stacks:
        for name, role in stage.of_type("AWS::IAM::Role", nested).items():
            where = f"{nested}.{name}" if nested else name
            for policy in role.get("Policies", []):
                yield from _wide(f"{where}, {policy['PolicyName']}", policy["PolicyDocument"])
            for arn in role.get("ManagedPolicyArns", []):
                if not isinstance(arn, dict):
                    yield f"{where}: {arn} is a policy of AWS's own, which allows more than is used"
        for name, policy in stage.of_type("AWS::IAM::ManagedPolicy", nested).items():
            yield from _wide(f"{nested}.{name}" if nested else name, policy["PolicyDocument"])


def _shared(stage: Stage) -> Iterator[str]:
    owners: dict[str, str] = {}
    for function in stage.functions():
        role = str(function.properties["Role"])
        if role in owners:
            yield f"{function.logical_id}: it shares the role of {owners[role]}"
        owners[role] = function.logical_id


def _wide(where: str, document: Mapping[str, Any]) -> Iterator[str]:
    for statement in document["Statement"]:
        if statement["Effect"] == "Deny":
            continue
        actions = _listed(statement["Action"])
        for action in actions:
            if "*" in action:
                yield f"{where}: it allows every action of {action}"
        if "*" in _listed(statement["Resource"]):
            for action in actions:
                if action not in UNBOUND:
                    yield f"{where}: it allows {action} on every resource"


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
