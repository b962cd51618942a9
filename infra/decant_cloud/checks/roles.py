"""Roles: functions share one when they need the same access; no wildcard but where IAM has nothing narrower."""

from collections.abc import Iterator, Mapping
from typing import Any

from decant_cloud.checks.outbound import imported
from decant_cloud.template.stage import Function, Stage

__all__ = ["breaches"]

UNBOUND = {
    "xray:PutTraceSegments": "X-Ray has no resources for traces",
    "xray:PutTelemetryRecords": "X-Ray has no resources for telemetry",
    "ec2:AssignPrivateIpAddresses": "Lambda requires it before an interface exists",
    "ec2:CreateNetworkInterface": "Lambda requires it before an interface exists",
    "ec2:DeleteNetworkInterface": "the id of the interface is generated",
    "ec2:DescribeNetworkInterfaces": "EC2 describes all or nothing",
    "ec2:DescribeSubnets": "EC2 describes all or nothing",
    "ec2:UnassignPrivateIpAddresses": "the id of the interface is generated",
}
"""Actions that are allowed on any resource, and why.

Source: Service Authorization Reference; AWS Lambda Developer Guide, giving functions access to a VPC.
"""


_OF_THE_DATABASE = ("decant.console", "decant.db", "decant.tasks", "decant.worker", "decant.workflows")
"""Modules that use the database."""

_OF_THE_BUCKET = ("decant.uploads",)
"""Modules that use the bucket for uploads, to which roles of functions with tasks have access."""


def breaches(stage: Stage) -> Iterator[str]:
    """Roles of other functions, and permissions wider than what is used."""
    for function in stage.functions():
        shared = stage.folder / "shared"
        used = imported(_OF_THE_DATABASE, function.folder, shared)
        yield from _unsuitable(function, used, uploads=imported(_OF_THE_BUCKET, function.folder, shared) is not None)
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


def _unsuitable(function: Function, module: str | None, *, uploads: bool) -> Iterator[str]:
    """Where a function has the role of functions that need other access.

    Args:
        function: The function.
        module: The module of the database that its code imports; None when it imports none.
        uploads: Whether its code uses the bucket for uploads.
    """
    name, role = function.logical_id, function.role
    if module is not None and not function.uses_database:
        yield f"{name}: it imports {module}, and {role} is for functions that do not use the database"
    if module is None and function.uses_database and not uploads:
        modules = ", ".join(_OF_THE_DATABASE)
        yield f"{name}: {role} is for functions that use the database, and it imports none of {modules}"
    receives = "sqs:ReceiveMessage" in function.actions
    if function.mappings and not receives:
        yield f"{name}: {role} does not allow to receive messages, and a queue invokes it"
    if receives and not function.mappings:
        yield f"{name}: {role} allows to receive messages, and no queue invokes it"


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
