"""Deployments that fail or wait: the reason appears within seconds, and the wait ends."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from decant_cloud.local.deploy import Cloud, delete, deploy
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.postgres import free_port
from decant_cloud.local.stack_events import Wait
from tests.e2e.clones import make_clone
from tests.e2e.commands import command
from tests.e2e.running import RunningCloud
from tests.loading import ROOT


def with_custom_resource(source: str, service_timeout_s: int) -> dict[str, Any]:
    """A template with a custom resource, whose function has this source."""
    function = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Code": {"ZipFile": source},
    }
    custom = {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "ServiceTimeout": str(service_timeout_s)}
    return {
        "Resources": {
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Custom": {"Type": "Custom::Resource", "Properties": custom},
        }
    }


@pytest.fixture
def stack(local_cloud: RunningCloud) -> Iterator[str]:
    """Name for a stack, which is deleted at the end."""
    name = f"failing{uuid4().hex[:8]}"
    yield name
    delete(Cloud(local_cloud.url), name)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("import json\ndef handler(:\n", "Custom: Runtime.UserCodeSyntaxError: ", id="syntax error"),
        pytest.param("import nothing_of_this_name", "Custom: Runtime.ImportModuleError: ", id="import error"),
        pytest.param("def handler(*_):\n    return 1 / 0\n", "Custom: ZeroDivisionError: ", id="exception"),
    ],
)
def test_failing_custom_resource_ends_the_deployment(
    local_cloud: RunningCloud, stack: str, source: str, reason: str
) -> None:
    """A function that fails will send no response: its error is the deployment's, long before the ServiceTimeout."""
    template = with_custom_resource(source, service_timeout_s=100)

    with pytest.raises(LocalCloudError, match="ended as ROLLBACK_COMPLETE") as failed:
        deploy(Cloud(local_cloud.url), stack, template, {}, Wait(timeout_s=60))

    assert reason in str(failed.value)


def test_deployment_has_a_time_limit_and_reports_its_events(local_cloud: RunningCloud, stack: str) -> None:
    """A function that sends no response holds the deployment until the time limit, which names its resource."""
    template = with_custom_resource("def handler(*_): pass", service_timeout_s=12)
    lines: list[str] = []

    with pytest.raises(LocalCloudError, match=r"DEPLOY_TIMEOUT_S") as failed:
        deploy(Cloud(local_cloud.url), stack, template, {}, Wait(timeout_s=7, report=lines.append))

    assert str(failed.value).endswith("in progress:\n  Custom: CREATE_IN_PROGRESS")
    assert "Function CREATE_COMPLETE" in lines
    assert len(lines) == len(set(lines))


@pytest.mark.long
@pytest.mark.parametrize(
    ("broken", "kind", "line"),
    [
        pytest.param("def handler(:\n", "Runtime.UserCodeSyntaxError", 1, id="syntax error"),
        pytest.param("\nimport nothing_of_this_name\n", "ModuleNotFoundError", 2, id="import error"),
    ],
)
def test_up_shows_why_a_function_cannot_start(broken: str, kind: str, line: int) -> None:
    """`make up` ends with the reason, the file and the line when the migration's function cannot be imported."""
    with tempfile.TemporaryDirectory(prefix="decant-broken-", dir=ROOT / ".decant") as name:
        folder = Path(name)
        make_clone(folder)
        app = folder / "functions/migrate/app.py"
        app.write_text(broken)
        up = command(folder, "up", "--port", str(free_port()), root=folder)
        try:
            status = up.process.wait(60)
        except subprocess.TimeoutExpired:
            up.stop()
            raise
        printed = up.printed

    assert status == 1
    assert kind in printed
    assert f'File "{app}", line {line}' in printed
    assert "error: The deployment ended as ROLLBACK_COMPLETE." in printed
