"""Parameters: each value is one that the template takes, the template's rules hold, and nothing is left to chance."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from decant_cloud.template.evaluate import resolve
from decant_cloud.template.stage import Stage

__all__ = ["breaches"]

DECISIONS = {
    "AlarmEmail": "alarms would have no recipient",
    "MonthlyBudget": "no alarm would report the cost",
    "Tracing": "Active or PassThrough is a choice between sight and price",
    "Waf": "true or false is a choice between safety and price",
    "GradualDeployment": "true or false is a choice between safety and speed",
}
"""Parameters that a stage in production has to set, and what happens by default."""

AURORA_DECISIONS = {
    "DatabaseInstances": "1 dies with its zone, 2 costs twice",
    "DatabaseMaxCapacity": "it bounds both load and price",
}


def breaches(stage: Stage) -> Iterator[str]:
    """Values that a deployment would refuse, and required decisions that are missing."""
    for name, value in stage.given.items():
        yield from _refused(name, value, stage.template["Parameters"][name])
    yield from _broken_rules(stage)
    yield from _untagged(stage)
    has_aurora = stage.parameters["Database"] == "aurora"
    if has_aurora and float(stage.parameters["DatabaseMinCapacity"]) == 0 and stage.parameters["Sweep"] == "true":
        yield "DatabaseMinCapacity 0 never comes to a pause while the sweeper connects every minute: set Sweep to false"
    if stage.name == "prod":
        for name, why in (DECISIONS | (AURORA_DECISIONS if has_aurora else {})).items():
            if name not in stage.given:
                yield f"{name} is not set for {stage.name}: {why}"


def _refused(name: str, value: str, declared: Mapping[str, Any]) -> Iterator[str]:
    allowed = [str(each) for each in declared.get("AllowedValues", [])]
    if allowed and value not in allowed:
        yield f"{name} {value!r} is none of {', '.join(allowed)}"
    if "AllowedPattern" in declared and not re.fullmatch(declared["AllowedPattern"], value):
        yield f"{name} {value!r} does not look like {declared['AllowedPattern']}"
    if declared["Type"] == "Number":
        try:
            number = float(value)
        except ValueError:
            yield f"{name} {value!r} is no number"
            return
        if number < declared.get("MinValue", number) or number > declared.get("MaxValue", number):
            yield f"{name} {value} is not between {declared.get('MinValue', '…')} and {declared.get('MaxValue', '…')}"


def _untagged(stage: Stage) -> Iterator[str]:
    """Stages whose resources would lack the tag by which the policies of infra/pipeline.yaml keep stages apart."""
    if not stage.is_local and stage.tags.get("stage") != stage.name:
        tag = f"stage={stage.name}"
        yield f'the stack has no tag {tag}: set tags = "{tag}" in [{stage.name}.deploy.parameters] of samconfig.toml'


def _broken_rules(stage: Stage) -> Iterator[str]:
    rules: Mapping[str, Any] = stage.template.get("Rules", {})
    tried = {**stage.template, "Outputs": {}}
    tried["Resources"] = {name: {"Type": "Rule", "Properties": rule} for name, rule in rules.items()}
    for name, rule in resolve(tried, stage.given)["Resources"].items():
        if rule["Properties"].get("RuleCondition", True):
            for each in rule["Properties"]["Assertions"]:
                if not each["Assert"]:
                    yield f"{name}: {each['AssertDescription']}"
