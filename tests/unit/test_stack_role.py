"""Whether CloudFormation's role is as wide as the resource types ask for, and no wider."""

import tomllib
from typing import Any

import pytest

from decant_cloud.checks.stack_role import REASONS, Grant, Reason, asked_for, breaches, resources_of

DEFINITION: dict[str, Any] = {
    "rds": {
        "privileges": {
            "CreateDBProxy": {"resource_types": {"": {"required": False}}},
            "CreateDBCluster": {
                "resource_types": {"cluster": {"required": True}, "og": {"required": True}, "db": {"required": False}}
            },
            "AddTagsToResource": {"resource_types": {"cluster": {"required": False}, "db": {"required": False}}},
        },
        "resources": {
            "cluster": {"arn": "arn:${Partition}:rds:${Region}:${Account}:cluster:${Name}"},
            "db": {"arn": "arn:${Partition}:rds:${Region}:${Account}:db:${Name}"},
            "og": {"arn": "arn:${Partition}:rds:${Region}:${Account}:og:${Name}"},
        },
    }
}
"""A little of IAM's."""

BY_NAME = "arn:aws:rds:eu-west-1:123456789012:*:decant-prod-*"
TYPE = "AWS::RDS::DBCluster"


def found(action: str, *grants: Grant, reasons: tuple[Reason, ...] = ()) -> list[str]:
    """What is wrong, when one resource type asks for one action."""
    return list(breaches({action: {TYPE}}, grants, reasons, DEFINITION))


@pytest.mark.parametrize(
    ("action", "resources", "missing"),
    [
        pytest.param("rds:CreateDBProxy", ["*"], "", id="no resources, allowed on all"),
        pytest.param("rds:CreateDBProxy", [BY_NAME], "*", id="no resources, allowed by name"),
        pytest.param("rds:CreateDBCluster", [BY_NAME, "*:og:default:*"], "", id="each that is required"),
        pytest.param(
            "rds:CreateDBCluster",
            [BY_NAME],
            "arn:aws:rds:eu-west-1:123456789012:cluster:decant-prod-x and "
            "arn:aws:rds:eu-west-1:123456789012:og:default:aurora-postgresql-17",
            id="one of those required",
        ),
        pytest.param("rds:AddTagsToResource", ["*:db:*"], "", id="any of several"),
        pytest.param("rds:NewerThanThis", [BY_NAME], "", id="unknown, allowed on something"),
    ],
)
def test_role_is_allowed_what_it_is_asked_for(action: str, resources: list[str], missing: str) -> None:
    """On all resources that IAM requires, and on everything where IAM defines none."""
    lines = found(action, Grant((action,), tuple(resources)))

    assert lines == ([f"{action} is not allowed on {missing}, and {TYPE} asks for it"] if missing else [])


def test_role_lacks_what_no_statement_speaks_of() -> None:
    """Another action's grant is none."""
    lines = found("rds:NewerThanThis", Grant(("rds:CreateDBProxy",), ("*",)))

    assert lines[0].startswith("rds:NewerThanThis is not allowed")


def test_role_has_nothing_that_nobody_asks_for() -> None:
    """A service that was dropped leaves no permission behind."""
    lines = found("rds:CreateDBProxy", Grant(("rds:*", "scheduler:*"), ("*",)))

    assert lines == ["scheduler:* is allowed, and nothing asks for it"]


def test_role_may_lack_what_there_is_a_reason_for() -> None:
    """For the type that is named, and no other."""
    reason = Reason(TYPE, ["rds:*GlobalCluster"], "because")
    of_others = Reason("AWS::RDS::DBInstance", ["rds:*"], "because")

    assert found("rds:RemoveFromGlobalCluster", reasons=(reason,)) == []
    assert found("rds:RemoveFromGlobalCluster", reasons=(of_others,))[0].startswith(
        "rds:RemoveFromGlobalCluster is not"
    )


def test_role_keeps_no_reason_that_excuses_nothing() -> None:
    """What is allowed by now needs no excuse."""
    stale = Reason(TYPE, ["rds:Create*"], "because")

    assert found("rds:CreateDBProxy", Grant(("rds:CreateDBProxy",), ("*",)), reasons=(stale,)) == [
        f"stack_role.toml: {TYPE} asks for no rds:Create* that is not allowed"
    ]


def test_role_is_asked_by_the_handlers_of_each_type() -> None:
    """Making a queue calls SQS; listing all of an account's, which no deployment does, is left out."""
    asked = asked_for({"AWS::SQS::Queue", "Custom::Migration"})

    assert asked["sqs:CreateQueue"] == {"AWS::SQS::Queue"}
    assert "sqs:ListQueues" not in asked


def test_role_knows_no_resource_of_a_service_that_iam_knows_not() -> None:
    """The definition is older than some services."""
    assert resources_of("newer:Thing", DEFINITION) == []


def test_role_has_a_reason_for_each_exception() -> None:
    """An exception has a reason, in a sentence."""
    reasons = [Reason(**each) for each in tomllib.loads(REASONS.read_text())["not_needed"]]

    assert all(each.reason.endswith(".") for each in reasons)
