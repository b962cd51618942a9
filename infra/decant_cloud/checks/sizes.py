"""Sizes: what AWS takes no more of, counted before it is sent.

Sources: AWS Lambda, IAM and CloudFormation quotas.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from decant_cloud.template.model import Template
from decant_cloud.template.stage import Function, Stage

__all__ = ["breaches"]

BUILT = ".aws-sam/build"
"""Folder of what `decant build` makes, in that of the bundle."""

MEMORY_MB = range(128, 10_240 + 1)
TIMEOUT_S = 900
VARIABLES_BYTES = 4 * 1024
LAYERS = 5
UNZIPPED_BYTES = 250 * 1024 * 1024
REQUEST_BYTES = 6 * 1024 * 1024
"""Largest event that Lambda takes from a caller who waits; the API hands a binary body over in base64."""

INLINE_POLICIES_CHARACTERS = 10_240
MANAGED_POLICY_CHARACTERS = 6_144
MANAGED_POLICIES = 10

TEMPLATE_BYTES = 1024 * 1024
RESOURCES = 500
PARAMETERS = 200
OUTPUTS = 200


def breaches(stage: Stage) -> Iterator[str]:
    """What is larger than AWS takes."""
    for function in stage.functions():
        yield from _function(function)
    for nested in stage.stacks:
        for name, role in stage.of_type("AWS::IAM::Role", nested).items():
            yield from _role(name, role)
        for name, policy in stage.of_type("AWS::IAM::ManagedPolicy", nested).items():
            yield from _above(f"{name}: its policy", _characters(policy["PolicyDocument"]), MANAGED_POLICY_CHARACTERS)
    in_base64 = int(stage.parameters["BodyLimitBytes"]) * 4 // 3
    yield from _above("BodyLimitBytes: a body in base64", in_base64, REQUEST_BYTES, "bytes")
    for nested, stack in stage.stacks.items():
        whose = f"{nested or 'template.yaml'}: its"
        yield from _above(f"{whose} resources", len(stack["Resources"]), RESOURCES)
        yield from _above(f"{whose} outputs", len(stack["Outputs"]), OUTPUTS)
        yield from _above(f"{whose} text", len(json.dumps(stack)), TEMPLATE_BYTES, "bytes")
    yield from _above("template.yaml: its parameters", len(stage.template["Parameters"]), PARAMETERS)
    yield from _built(stage.folder / BUILT, stage)


def _function(function: Function) -> Iterator[str]:
    name, memory_mb = function.logical_id, int(function.properties["MemorySize"])
    if memory_mb not in MEMORY_MB:
        yield f"{name}: memory of {memory_mb} MB is not between {MEMORY_MB.start} and {MEMORY_MB.stop - 1}"
    yield from _above(f"{name}: its timeout", function.timeout_s, TIMEOUT_S, "s")
    yield from _above(f"{name}: its layers", len(function.properties.get("Layers", [])), LAYERS)
    yield from _above(f"{name}: its variables", len(json.dumps(dict(function.variables))), VARIABLES_BYTES, "bytes")


def _role(name: str, role: Mapping[str, Any]) -> Iterator[str]:
    inline = sum(_characters(each["PolicyDocument"]) for each in role.get("Policies", []))
    yield from _above(f"{name}: its own policies", inline, INLINE_POLICIES_CHARACTERS, "characters")
    yield from _above(f"{name}: its managed policies", len(role.get("ManagedPolicyArns", [])), MANAGED_POLICIES)


def _built(folder: Path, stage: Stage) -> Iterator[str]:
    """Each function with its layers, where they have been built."""
    for function in Template(folder, stage.template).evaluated(stage.given).values():
        together = sum(_bytes_in(folder / each) for each in (function.logical_id, *function.layers))
        yield from _above(f"{function.logical_id}: its code and layers, unzipped,", together, UNZIPPED_BYTES, "bytes")


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _characters(policy: Any) -> int:
    """As IAM counts them: without white space."""
    return len(json.dumps(policy, separators=(",", ":")))


def _above(what: str, number: float, limit: float, unit: str = "") -> Iterator[str]:
    if number > limit:
        yield " ".join(f"{what} {number:g} {unit}".split()) + f" is above {limit:g}"
