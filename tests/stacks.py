"""How tests read the stacks of `infra/`, those of the sample bundle."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from decant_cloud.template.evaluate import resolve
from decant_cloud.template.model import load_template
from tests.sample.bundle import sample_bundle

__all__ = ["of_type", "policy_statements", "stack"]


@cache
def stack(name: str, **parameters: Any) -> dict[str, Any]:
    """Resources and outputs of `infra/<name>.yaml` for one set of parameters, shared by all tests of the process."""
    return resolve(load_template(sample_bundle() / f"infra/{name}.yaml"), parameters)


def of_type(resolved: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Properties of the resources of one type, `AWS::EC2::Subnet`, by logical id."""
    return {name: each["Properties"] for name, each in resolved["Resources"].items() if each["Type"] == kind}


def policy_statements(properties: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every statement of the policies that stand inside a role."""
    for policy in properties.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]
