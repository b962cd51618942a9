"""How tests read the stacks of `infra/` and deploy them to moto's CloudFormation."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3

from decant_cloud.template.evaluate import PSEUDO_PARAMETERS, resolve
from decant_cloud.template.model import load_template
from tests.loading import ROOT

__all__ = ["deploy_to_moto", "of_type", "policy_statements", "stack"]

REGION = PSEUDO_PARAMETERS["AWS::Region"]


def stack(name: str, **parameters: Any) -> dict[str, Any]:
    """Resources and outputs of `infra/<name>.yaml` for one set of parameters."""
    return resolve(load_template(ROOT / f"infra/{name}.yaml"), parameters)


def of_type(resolved: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Properties of the resources of one type, `AWS::EC2::Subnet`, by logical id."""
    return {name: each["Properties"] for name, each in resolved["Resources"].items() if each["Type"] == kind}


def policy_statements(properties: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every statement of the policies that stand inside a role."""
    for policy in properties.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def deploy_to_moto(name: str, resolved: Mapping[str, Any], leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Create a stack with moto, which knows fewer functions than CloudFormation: the template comes worked out.

    Args:
        name: The stack's name.
        resolved: The template, from `stack`.
        leave_out: Types that moto's CloudFormation does not implement; with them go the outputs.
    Returns:
        The stack's outputs.
    """
    template = dict(resolved)
    if leave_out:
        resources = {key: each for key, each in resolved["Resources"].items() if each["Type"] not in leave_out}
        template = {"Resources": resources}
    cloudformation = boto3.client("cloudformation", REGION)
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    assert found["StackStatus"] == "CREATE_COMPLETE", found
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
