"""A stage: the template and its nested stacks, worked out with the parameters that `samconfig.toml` has for it."""

import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from decant_cloud.bundle import bundle
from decant_cloud.template import model
from decant_cloud.template.evaluate import PSEUDO_PARAMETERS, parameter_values, resolve
from decant_cloud.template.model import Template, load_template
from decant_cloud.template.sam import transformed

__all__ = ["MIGRATION", "PLAIN_ROLE", "Function", "Stage", "configured", "read_stage"]

_FILE = "file://"
"""Prefix of a parameter override that names a file with parameters, as YAML."""

MIGRATION = "Migrate"
"""The function that each deployment runs once, before all others."""

PLAIN_ROLE = "Access.PlainRole"
"""Role of the functions that use neither database nor queues."""


@dataclass(frozen=True, kw_only=True)
class Function(model.Function):
    """One function as it would be deployed; its properties are those of the Lambda function.

    Attributes:
        mappings: Properties of its event source mappings.
        has_route: Whether the API calls it.
        role: Its role: the logical id, after that of the nested stack and a dot, `Access.TasksRole`.
        actions: Actions that the policies of its role allow.
    """

    mappings: tuple[Mapping[str, Any], ...]
    has_route: bool
    role: str
    actions: frozenset[str]

    @property
    def uses_database(self) -> bool:
        """Whether its role is one of functions that use the database."""
        return self.role != PLAIN_ROLE


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Everything that a deployment of one stage would make.

    Attributes:
        folder: Folder of the bundle.
        name: The stage.
        stack: Name of its stack.
        given: Parameters that `samconfig.toml` sets.
        template: `template.yaml` as it is written.
        parameters: Every parameter's value.
        stacks: Resources and outputs of each stack, by the nested stack's logical id; the template's own at "".
        tags: Tags of the stack, which CloudFormation passes on to its resources.
    """

    folder: Path
    name: str
    stack: str
    given: Mapping[str, str]
    template: Mapping[str, Any]
    parameters: Mapping[str, Any]
    stacks: Mapping[str, Mapping[str, Any]]
    tags: Mapping[str, str]

    @property
    def is_local(self) -> bool:
        """Whether it is the one that runs on a laptop."""
        return bool(self.parameters["Stage"] == "local")

    def of_type(self, kind: str, stack: str = "") -> dict[str, dict[str, Any]]:
        """Properties of the resources of one type, by logical id."""
        resources = self.stacks[stack]["Resources"].items()
        return {name: each.get("Properties", {}) for name, each in resources if each["Type"] == kind}

    def functions(self) -> Iterator[Function]:
        """Every function, in the template's order."""
        mappings = self.of_type("AWS::Lambda::EventSourceMapping").items()
        permitted = self.of_type("AWS::Lambda::Permission").items()
        made = self.of_type("AWS::Lambda::Function")
        written = Template(self.folder, self.template).functions()
        for name, properties in ((name, made[name]) for name in self.template["Resources"] if name in made):
            yield Function(
                logical_id=name,
                folder=written[name].folder,
                properties=properties,
                routes=written[name].routes,
                mappings=tuple(each for mapping, each in mappings if mapping.startswith(name)),
                has_route=any(
                    permission.startswith(name) and each["Principal"] == "apigateway.amazonaws.com"
                    for permission, each in permitted
                ),
                role=(role := self._role(properties["Role"])),
                actions=frozenset(self._actions(role)),
            )

    def _role(self, reference: Any) -> str:
        """The role to which a function's property `Role` leads, directly or through the output of a nested stack."""
        resource, attribute = reference["Fn::GetAtt"]
        output = attribute.removeprefix("Outputs.")
        if output == attribute:
            return str(resource)
        return f"{resource}.{self.stacks[resource]['Outputs'][output]['Value']['Fn::GetAtt'][0]}"

    def _actions(self, role: str) -> Iterator[str]:
        """Actions that the policies of a role allow."""
        nested, _, name = role.rpartition(".")
        policies = self.of_type("AWS::IAM::ManagedPolicy", nested)
        properties = self.of_type("AWS::IAM::Role", nested)[name]
        attached = [policies[each["Ref"]] for each in properties.get("ManagedPolicyArns", []) if isinstance(each, dict)]
        for policy in [*attached, *properties.get("Policies", [])]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    yield from [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def configured(root: Path, stage: str) -> dict[str, str]:
    """The parameters that `samconfig.toml` sets for one stage, for every command and for `sam deploy`.

    Raises:
        KeyError: it has no such stage.
    """
    sections = tomllib.loads((root / "samconfig.toml").read_text())[stage]
    found: dict[str, str] = {}
    for command in ("global", "deploy"):
        overrides = sections.get(command, {}).get("parameters", {}).get("parameter_overrides", [])
        pairs = shlex.split(overrides) if isinstance(overrides, str) else overrides
        for pair in pairs:
            found |= _of_file(root / pair[len(_FILE) :]) if pair.startswith(_FILE) else dict([pair.split("=", 1)])
    return found


def _tags(root: Path, stage: str) -> dict[str, str]:
    """The tags that `samconfig.toml` gives to the stack of a stage; none when it has no such stage."""
    sections = tomllib.loads((root / "samconfig.toml").read_text()).get(stage, {})
    return dict(
        pair.split("=", 1) for pair in shlex.split(sections.get("deploy", {}).get("parameters", {}).get("tags", ""))
    )


def _of_file(path: Path) -> dict[str, str]:
    """Parameters of a file that an override names; none while `make up` has not written it."""
    return dict(yaml.safe_load(path.read_text())) if path.exists() else {}


def read_stage(root: Path, name: str, given: Mapping[str, str]) -> Stage:
    """Work out a stage.

    Args:
        root: Folder of `template.yaml`.
        name: The stage.
        given: Values of its parameters; the others take their defaults.
    Raises:
        TemplateError: a parameter is unknown or has no value.
    """
    template = load_template(root / "template.yaml")
    stack = bundle(root).stack(name)
    pseudo = {**PSEUDO_PARAMETERS, "AWS::StackName": stack}
    stacks = {"": resolve(transformed(template, given), given, pseudo)}
    for nested, resource in stacks[""]["Resources"].items():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            properties = resource["Properties"]
            inner = load_template(root / properties["TemplateURL"])
            stacks[nested] = resolve(inner, properties.get("Parameters", {}), {**pseudo, "AWS::StackName": nested})
    return Stage(
        folder=root,
        name=name,
        stack=stack,
        given=given,
        template=template,
        parameters=parameter_values(template, given),
        stacks=stacks,
        tags=_tags(root, name),
    )
