"""A production stage of the sample bundle that is right, and the same with something broken."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from decant_cloud.template.stage import Stage, read_stage
from tests.sample.bundle import sample_bundle

__all__ = ["PROD", "Check", "broken", "found", "prod", "with_functions"]

Check = Callable[[Stage], Iterator[str]]

PROD = {
    "Stage": "prod",
    "Auth": "keys",
    "AuthKeys": "true",
    "Database": "aurora",
    "DatabaseInstances": "2",
    "DatabaseMaxCapacity": "8",
    "ReservedConcurrency": "50",
    "AlarmEmail": "ops@example.com",
    "MonthlyBudget": "500",
    "Tracing": "Active",
    "Waf": "true",
    "GradualDeployment": "true",
}


@cache
def prod(**changed: str) -> Stage:
    """The production stage with some parameters changed. The stage is shared by all tests of the process."""
    return read_stage(sample_bundle(), "prod", PROD | changed)


def broken(path: str, **properties: Any) -> Stage:
    """The production stage with properties of one resource changed: `Queue`, or `Cluster.RdsProxy` of one nested."""
    stacks = copy.deepcopy(dict(prod().stacks))
    nested, _, name = path.rpartition(".")
    stacks[nested]["Resources"][name]["Properties"] |= properties
    return replace(prod(), stacks=stacks)


def with_functions(stage: Stage, *names: str) -> Stage:
    """A stage that has these functions alone, however many the template has by now."""
    resources = {name: stage.template["Resources"][name] for name in names}
    return replace(stage, template={**stage.template, "Resources": resources})


def found(breaches: Check, stage: Stage) -> str:
    """All breaches of one check."""
    return "\n".join(breaches(stage))
