"""Numbers of a stage that must fit each other: connections, timeouts, sizes."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from decant_cloud.checks import connections, sizes, timeouts
from decant_cloud.template.model import load_template
from decant_cloud.template.stage import Stage
from tests.sample.bundle import sample_bundle
from tests.stages import broken, found, prod, with_functions


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({"ReservedConcurrency": "-1"}, "UsersGet: nothing bounds how many run at once", id="no bound"),
        pytest.param({"ReservedConcurrency": "579"}, "", id="as many as the proxy has"),
        pytest.param(
            {"ReservedConcurrency": "580"},
            "functions may open 631 connections (UsersGet 580 + TaskWorker 50 + TaskSweeper 1), and there are 630 for",
            id="more than the proxy has",
        ),
        pytest.param({"ReservedConcurrency": "629", "DatabaseProxy": "false"}, "", id="as many as the cluster has"),
        pytest.param(
            {"ReservedConcurrency": "630", "DatabaseProxy": "false"}, "and there are 680 for them", id="no proxy"
        ),
        pytest.param(
            {"DatabaseMaxCapacity": "2"},
            "DatabaseMaxConnections 700 is more than the memory of 0.5 to 2 ACU is good for: 400",
            id="more than the memory is good for",
        ),
    ],
)
def test_connections_are_counted(changed: dict[str, str], expected: str) -> None:
    """Every environment at once with a full pool fits what the database accepts, or the sum is shown."""
    stage = with_functions(prod(**changed), "UsersGet", "TaskWorker", "TaskSweeper")

    line = found(connections.breaches, stage)

    assert expected in line
    assert bool(expected) is bool(line)


def test_connections_of_every_function_are_counted() -> None:
    """The sum has every function with a role for the database, except the migration, whose connection is set aside."""
    resources = load_template(sample_bundle() / "template.yaml")["Resources"]
    roles = {name: each["Properties"]["Role"] for name, each in resources.items() if "CodeUri" in each["Properties"]}
    without = {name for name, role in roles.items() if role == {"Fn::GetAtt": ["Access", "Outputs.PlainRoleArn"]}}

    line = found(connections.breaches, prod(ReservedConcurrency="1000"))

    assert set(re.findall(r"([A-Z]\w+) \d", line)) == roles.keys() - without - {"Migrate"}


@pytest.mark.parametrize(
    ("least_acu", "most_acu", "documented"),
    [(0.5, 1, 189), (1, 4, 823), (1, 8, 1669), (1, 16, 3360), (0.5, 16, 2000), (1, 32, 5000)],
)
def test_connections_by_memory_are_those_documented(least_acu: float, most_acu: float, documented: int) -> None:
    """The estimate is never above what Aurora's documentation has, and within a hundredth of it."""
    accepted = connections.accepted_by(most_acu, least_acu)

    assert 0.99 * documented <= accepted <= documented


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        pytest.param(
            lambda: broken("UsersGet", Timeout=29), "UsersGet: its timeout of 29 s must be below", id="gateway"
        ),
        pytest.param(
            lambda: broken("UsersGet", Timeout=15), "above DATABASE_STATEMENT_TIMEOUT_S, 20 s", id="statement"
        ),
        pytest.param(lambda: broken("RatesList", Timeout=8), "above HTTP_TIMEOUT_S, 10 s", id="other services"),
        pytest.param(
            lambda: broken("DefaultQueue", VisibilityTimeout=719), "719 s is below 720 s, 6 times", id="visibility"
        ),
        pytest.param(lambda: broken("TaskWorker", Timeout=121), "below 726 s", id="a slower worker"),
        pytest.param(
            lambda: broken(
                "DefaultQueue",
                RedrivePolicy={
                    "maxReceiveCount": 4,
                    "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]},
                },
            ),
            "maxReceiveCount 4 must be above the 4 runs",
            id="receive count",
        ),
        pytest.param(lambda: broken("DefaultQueue", RedrivePolicy=None), "it has no RedrivePolicy", id="no redrive"),
        pytest.param(
            lambda: broken("DeadLetterQueue", MessageRetentionPeriod=345600),
            "must be above DefaultQueue's",
            id="dead",
        ),
        pytest.param(
            lambda: broken("Migration", ServiceTimeout="300"), "must be above Migrate's timeout", id="custom resource"
        ),
        pytest.param(
            lambda: broken(
                "Cluster.ProxyTargets",
                ConnectionPoolConfigurationInfo={"InitQuery": "SET statement_timeout = 25000"},
            ),
            "statements may take 25 s through the proxy",
            id="proxy",
        ),
    ],
)
def test_timeouts_are_compared(stage: Callable[[], Stage], expected: str) -> None:
    """A caller whose timeout is shorter than the work is named."""
    assert expected in found(timeouts.breaches, stage())


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        pytest.param(lambda: broken("UsersGet", MemorySize=64), "memory of 64 MB", id="memory"),
        pytest.param(lambda: broken("TaskWorker", Timeout=901), "its timeout 901 s is above 900", id="timeout"),
        pytest.param(lambda: broken("UsersGet", Layers=["l"] * 6), "its layers 6 is above 5", id="layers"),
        pytest.param(
            lambda: broken("UsersGet", Environment={"Variables": {"A": "x" * 4096}}), "its variables 41", id="variables"
        ),
        pytest.param(
            lambda: broken("Access.BasePolicy", PolicyDocument={"Statement": [{"Effect": "Deny", "Sid": "x" * 7000}]}),
            "above 6144",
            id="policy",
        ),
        pytest.param(
            lambda: broken(
                "Access.DatabaseRole",
                Policies=[{"PolicyDocument": {"Statement": [{"Effect": "Deny", "Sid": "x" * 11000}]}}],
            ),
            "above 10240",
            id="policies of a role",
        ),
        pytest.param(lambda: prod(BodyLimitBytes="6000000"), "8e+06 bytes is above", id="body in base64"),
    ],
)
def test_sizes_are_compared(stage: Callable[[], Stage], expected: str) -> None:
    """What is larger than AWS takes is named, with both numbers."""
    assert expected in found(sizes.breaches, stage())


def test_layers_and_function_together_are_weighed(tmp_path: Path) -> None:
    """Where they have been built, each function counts with its layers."""
    for name, size in (("SharedLayer/python/lib", 150), ("AuthLayer/python/lib", 50), ("TasksList/app.py", 51)):
        path = tmp_path / ".aws-sam/build" / name
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            file.truncate(size * 1024 * 1024)

    assert "TasksList: its code and layers, unzipped, 2.63193e+08 bytes is above" in found(
        sizes.breaches, replace(prod(), folder=tmp_path)
    )
