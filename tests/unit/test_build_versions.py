"""What a deployment publishes: versions, the alias before them, and how traffic comes to a new one."""

import copy
import functools
import json
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any

import pytest
from samtranslator.translator.transform import transform

from decant_cloud.template.evaluate import resolve
from decant_cloud.template.model import load_template
from tests.loading import ROOT

TEMPLATE = load_template(ROOT / "template.yaml")
FUNCTIONS = {name for name, each in TEMPLATE["Resources"].items() if each["Type"] == "AWS::Serverless::Function"}
ROUTES = {
    name
    for name in FUNCTIONS
    if any(each["Type"] == "Api" for each in TEMPLATE["Resources"][name]["Properties"].get("Events", {}).values())
}

WITH_EVERY_FUNCTION = {"Stage": "dev", "Auth": "jwt", "AuthTokens": "Tokens"}

ADMIN = {"Console", "TasksList", "TasksRevoke", "TasksRedrive", "QueuesList", "Workflows"}
"""Routes for a few people, who can wait for a start and share two environments."""


class NoManagedPolicies:
    """Stands for IAM, which the translator asks for names of policies that the template does not use."""

    def load(self) -> dict[str, str]:
        """No policies."""
        return {}


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    """The translator requires its location."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@functools.cache
def deployed(*, layer: str = "layer-1", code: str = "code-1", **parameters: str) -> dict[str, Any]:
    """The template's resources as CloudFormation gets to see them after `sam deploy` has uploaded layer and code."""
    packaged = copy.deepcopy(TEMPLATE)
    for resource in packaged["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://bucket/{code}"
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = f"s3://bucket/{layer}"
    defaults = {name: each["Default"] for name, each in TEMPLATE["Parameters"].items()}
    given = {**defaults, **WITH_EVERY_FUNCTION, **parameters}
    translated = json.loads(json.dumps(transform(packaged, dict(given), NoManagedPolicies())))
    resources: dict[str, Any] = resolve(translated, given)["Resources"]
    return resources


def of_type(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    """Properties by logical id."""
    return {name: each.get("Properties", {}) for name, each in resources.items() if each["Type"] == kind}


def versions(resources: dict[str, Any]) -> set[str]:
    """Logical ids of the functions' versions: another id is another version."""
    return set(of_type(resources, "AWS::Lambda::Version"))


def test_deployment_of_the_same_publishes_nothing() -> None:
    """What has not changed keeps its version."""
    assert versions(deployed()) == versions(deployed())


def test_deployment_of_another_layer_publishes_every_function() -> None:
    """The library is most of each function's code: a change of it must come to be live."""
    assert versions(deployed(layer="layer-2")).isdisjoint(versions(deployed()))


def test_deployment_of_another_setting_and_release_publishes_every_function() -> None:
    """A parameter alone is nothing that the translator looks at; the release is."""
    changed = deployed(LogLevel="DEBUG", Release="5f3a9c1")

    assert versions(changed).isdisjoint(versions(deployed()))


def test_alias_of_each_function_is_live() -> None:
    """Each function has one alias, and it points to the version that was published."""
    resources = deployed()

    aliases = of_type(resources, "AWS::Lambda::Alias")
    assert {each["FunctionName"]["Ref"] for each in aliases.values()} == FUNCTIONS
    assert {each["Name"] for each in aliases.values()} == {"live"}
    assert {each["FunctionVersion"]["Fn::GetAtt"][0] for each in aliases.values()} == versions(resources)


def test_layer_versions_are_retained() -> None:
    """A function that is rolled back finds the layer that it was published with."""
    layers = [each for each in deployed().values() if each["Type"] == "AWS::Lambda::LayerVersion"]

    assert {each["DeletionPolicy"] for each in layers} == {"Retain"}


def test_codedeploy_is_left_out_by_default() -> None:
    """The local cloud has none."""
    assert not [name for name, each in deployed().items() if each["Type"].startswith("AWS::CodeDeploy")]


def test_gradual_deployment_moves_the_alias_of_each_function() -> None:
    """CodeDeploy moves traffic to the new version, and back when something is wrong."""
    resources = deployed(GradualDeployment="true")

    aliases = {name: each for name, each in resources.items() if each["Type"] == "AWS::Lambda::Alias"}
    gradual = {name for name, each in aliases.items() if "CodeDeployLambdaAliasUpdate" in each.get("UpdatePolicy", {})}
    assert aliases.keys() - gradual == {"MigrateAliaslive"}
    groups = of_type(resources, "AWS::CodeDeploy::DeploymentGroup").values()
    assert len(groups) == len(gradual)
    assert all("DEPLOYMENT_STOP_ON_ALARM" in each["AutoRollbackConfiguration"]["Events"] for each in groups)


def test_gradual_deployment_looks_at_the_alarm_of_each_function() -> None:
    """Outside stage local, a new version is rolled back on its alarm; migrations have no traffic and no alarm."""
    resources = deployed(GradualDeployment="true", Stage="prod", Database="aurora")

    groups = of_type(resources, "AWS::CodeDeploy::DeploymentGroup")
    watched = {
        name.removesuffix("DeploymentGroup")
        for name, each in groups.items()
        if each.get("AlarmConfiguration", {}).get("Alarms")
    }
    assert watched == FUNCTIONS - {"Migrate"}


def test_gradual_deployment_waits_for_nothing_that_waits_for_it() -> None:
    """Aliases wait for their alarms, so no alarm may wait for an alias."""
    resources = deployed(GradualDeployment="true", Stage="prod", Database="aurora")
    waits = {name: set(references(each)) & resources.keys() for name, each in resources.items()}

    assert set(TopologicalSorter(waits).static_order()) == resources.keys()  # it raises CycleError on a circle


def references(value: Any) -> Iterator[str]:
    """Names of the resources that a part of a template refers to."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(path)}:
            yield path.partition(".")[0]
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), _]}:
            yield from (name.partition(".")[0] for name in re.findall(r"\$\{([\w.]+)\}", text))
        case dict():
            depends = value.get("DependsOn", [])
            yield from [depends] if isinstance(depends, str) else depends
            for each in value.values():
                yield from references(each)
        case list():
            for each in value:
                yield from references(each)


def test_provisioned_concurrency_is_of_the_routes() -> None:
    """Environments are kept started where a client waits for a response."""
    aliases = of_type(deployed(ProvisionedConcurrency="2"), "AWS::Lambda::Alias").values()

    kept = {each["FunctionName"]["Ref"] for each in aliases if "ProvisionedConcurrencyConfig" in each}
    assert kept == ROUTES - ADMIN - {"ApiDocs", "TaskEvents"} | {"Authorizer"}


def test_reserved_concurrency_is_none_by_default() -> None:
    """Functions share the account's by default."""
    functions = of_type(deployed(), "AWS::Lambda::Function").values()

    assert not [each for each in functions if "ReservedConcurrentExecutions" in each]


def test_reserved_concurrency_is_of_the_routes() -> None:
    """The worker's own limit is that of its queue."""
    functions = of_type(deployed(ReservedConcurrency="7"), "AWS::Lambda::Function")

    assert {
        name for name, each in functions.items() if each.get("ReservedConcurrentExecutions") == "7"
    } == ROUTES - ADMIN | {"Authorizer"}


def test_snapstart_is_off_by_default() -> None:
    """No function starts from a snapshot by default."""
    functions = of_type(deployed(), "AWS::Lambda::Function")

    assert {functions[name]["SnapStart"]["ApplyOn"] for name in ROUTES} == {"None"}


def test_snapstart_is_a_switch_of_all_functions() -> None:
    """Only the migration, which runs once a deployment, starts without a snapshot."""
    functions = of_type(deployed(SnapStart="true"), "AWS::Lambda::Function")

    on = {name for name, each in functions.items() if each.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"}
    assert on == FUNCTIONS - {"Migrate"}


def test_functions_write_to_one_group_that_expires() -> None:
    """No log line is kept forever."""
    resources = deployed(LogDays="30")

    groups = of_type(resources, "AWS::Logs::LogGroup")
    functions = of_type(resources, "AWS::Lambda::Function").values()
    assert {each["LoggingConfig"]["LogGroup"]["Ref"] for each in functions} == {"Logs"}
    assert groups["Logs"]["RetentionInDays"] == "30"


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_architecture_is_that_of_functions_and_layer(architecture: str) -> None:
    """The parameter applies to both, and names the folder whose makefile builds for it."""
    layer = resolve(TEMPLATE, {"Architecture": architecture})["Resources"]["SharedLayer"]
    functions = of_type(deployed(Architecture=architecture), "AWS::Lambda::Function").values()

    assert layer["Properties"]["CompatibleArchitectures"] == [architecture]
    assert (ROOT / layer["Metadata"]["ContextPath"] / "Makefile").is_file()
    assert all(each["Architectures"] == [architecture] for each in functions)
