"""References: what a nested stack is asked for must be there, and every alarm must watch something that is."""

from collections.abc import Iterator, Mapping
from typing import Any

from decant_cloud.template.stage import MIGRATION, Stage

__all__ = ["breaches"]

_OWN_NAME = {"ApiName", "Stage"}
"""Dimensions that hold the name of the API and of its stage, which no resource stands for."""

_MADE_BY = {
    "AWS/Lambda": {"AWS::Lambda::Function"},
    "AWS/SQS": {"AWS::SQS::Queue"},
    "AWS/RDS": {"AWS::CloudFormation::Stack"},
}
"""Types of the resources that a namespace's metrics are about."""

_FAILED_RESPONSES = 'SELECT AVG("5XXError") FROM SCHEMA("AWS/ApiGateway", '
"""Beginning of the Metrics Insights query for the routes of an API."""


def breaches(stage: Stage) -> Iterator[str]:
    """References that lead nowhere, and functions without alarms."""
    main = stage.stacks[""]
    for section in ("Resources", "Outputs"):
        for name, each in main[section].items():
            yield from _nested_outputs(stage, name, each)
    for nested in stage.stacks:
        for name, alarm in stage.of_type("AWS::CloudWatch::Alarm", nested).items():
            yield from _alarm(stage, f"{nested}.{name}" if nested else name, alarm)
    if not stage.is_local:
        yield from _unwatched(stage)


def _nested_outputs(stage: Stage, name: str, given: Any) -> Iterator[str]:
    for nested, attribute in _attributes(given):
        output = attribute.removeprefix("Outputs.")
        if nested in stage.stacks and attribute != output and output not in stage.stacks[nested]["Outputs"]:
            yield f"{name}: {nested} has no output {output} with these parameters"


def _attributes(given: Any) -> Iterator[tuple[str, str]]:
    """Every attribute that a value asks for: resource and attribute."""
    match given:
        case {"Fn::GetAtt": [resource, attribute]}:
            yield resource, attribute
        case {"Fn::Sub": str(text)}:
            for variable in (part.partition("}")[0] for part in text.split("${")[1:]):
                resource, _, attribute = variable.partition(".")
                yield resource, attribute
        case dict():
            for each in given.values():
                yield from _attributes(each)
        case list():
            for each in given:
                yield from _attributes(each)


def _alarm(stage: Stage, name: str, alarm: Mapping[str, Any]) -> Iterator[str]:
    for metric in _metrics(alarm):
        for dimension in metric.get("Dimensions", []):
            value, namespace = dimension["Value"], metric["Namespace"]
            if dimension["Name"] in _OWN_NAME:
                if value not in {stage.parameters["Stage"], stage.stack}:
                    yield f"{name}: it watches {dimension['Name']} {value}, which is not this stage's"
            elif _type(stage, value) not in _MADE_BY.get(namespace, set()):
                yield f"{name}: it watches {namespace} {dimension['Name']} {value}, which is not there"


def _metrics(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "Metrics" not in alarm:
        return [alarm]
    return [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]


def _type(stage: Stage, value: Any) -> str | None:
    """Type of the resource that a reference leads to."""
    match value:
        case {"Ref": name} | {"Fn::GetAtt": [name, *_]}:
            kind: str | None = stage.stacks[""]["Resources"].get(name, {}).get("Type")
            return kind
    return None


def _unwatched(stage: Stage) -> Iterator[str]:
    """Functions that neither an alarm of their own nor that of the API's routes watches."""
    alarms = [alarm for nested in stage.stacks for alarm in stage.of_type("AWS::CloudWatch::Alarm", nested).values()]
    watched = {
        dimension["Value"].get("Ref")
        for alarm in alarms
        for metric in _metrics(alarm)
        for dimension in metric.get("Dimensions", [])
        if isinstance(dimension["Value"], dict)
    }
    queries = [str(each.get("Expression")) for alarm in alarms for each in alarm.get("Metrics", [])]
    own_api = f"ApiName = '{stage.stack}' AND Stage = '{stage.parameters['Stage']}'"
    has_watched_routes = any(_FAILED_RESPONSES in each and own_api in each for each in queries)
    for function in stage.functions():
        is_watched = function.logical_id in watched or (function.has_route and has_watched_routes)
        if not is_watched and function.logical_id != MIGRATION:  # whose failure fails the deployment
            yield f"{function.logical_id}: no alarm watches it"
