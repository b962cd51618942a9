"""`make up` on an emulator that already runs: the session's cloud stands in for one."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from decant_cloud.local.deploy import Cloud, delete, deploy
from decant_cloud.local.engine_server import chosen
from decant_cloud.local.mounted_code import with_code
from decant_cloud.local.packages import upload
from tests.e2e.commands import Command, command
from tests.e2e.running import RunningCloud
from tests.loading import ROOT


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder of this test's own, which PostgreSQL's own user gets through when we are root."""
    with tempfile.TemporaryDirectory(prefix="decant-emulator-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def up_on(url: str, state: Path) -> Command:
    """`make up` with an emulator's address."""
    return command(state, "up", "--stack", "second", AWS_ENDPOINT_URL=url)


def stacks(local_cloud: RunningCloud) -> set[str]:
    """Names of the stacks that stand there."""
    described = local_cloud.client("cloudformation").describe_stacks()["Stacks"]
    return {each["StackName"] for each in described if each["StackStatus"] != "DELETE_COMPLETE"}


@pytest.mark.long
def test_up_deploys_to_an_emulator_and_leaves_it_as_it_was(local_cloud: RunningCloud, state: Path) -> None:
    """Its own stack serves, its functions' lines are followed and others' are not; at the end, the stack alone goes."""
    up = up_on(local_cloud.url, state)
    try:
        up.wait_for("Logs follow")
        api_url = re.findall(r"curl -s (http\S+)/start-task", up.printed)[0]
        task = httpx.post(f"{api_url}/start-task", json={"seconds": 0}, timeout=120).json()
        invoked = subprocess.run(
            [sys.executable, "-m", "decant_cloud", "invoke", "async_response", "--state", str(state / "local")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        up.wait_for(f"Task succeeded task_id={task['task_id']}")
        processes = psutil.Process(up.process.pid).children(recursive=True)
    finally:
        status = up.stop()

    assert '"body": "Async Response"' in invoked.stdout
    assert status == 0
    assert psutil.wait_procs(processes, timeout=60)[1] == []
    assert "second" not in stacks(local_cloud)
    assert httpx.get(f"{local_cloud.api_url}/async?seconds=0", timeout=60).text == "Async Response"


def test_emulator_that_does_not_answer_is_one_clear_line(state: Path) -> None:
    """What to do stands in it."""
    refused = up_on("http://127.0.0.1:1", state)

    assert refused.process.wait(120) == 1
    assert "error: AWS_ENDPOINT_URL is http://127.0.0.1:1, and nothing answers there (" in refused.printed
    assert refused.printed.endswith(f"Start the emulator, or unset AWS_ENDPOINT_URL to start {chosen().title}.\n")


@pytest.fixture
def packed(local_cloud: RunningCloud, tmp_path: Path) -> Iterator[Cloud]:
    """The session's cloud with room for a stack, which is deleted in the end."""
    cloud = Cloud(local_cloud.url)
    (tmp_path / "functions/one").mkdir(parents=True)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/words.py").write_text("word = 'from the layer'")
    (tmp_path / "Layer/python").mkdir(parents=True)
    (tmp_path / "Layer/python/words").symlink_to(tmp_path / "source")
    yield cloud
    delete(cloud, "packed")


def test_code_that_cannot_be_mounted_is_uploaded(packed: Cloud, tmp_path: Path) -> None:
    """What the layer links to is in its archive; a function that changed is updated by the next deployment."""
    function = {
        "CodeUri": "functions/one",
        "Handler": "app.handler",
        "Runtime": "python3.13",
        "Layers": [{"Ref": "Layer"}],
    }
    api = {"Type": "Api", "Properties": {"Method": "GET", "Path": "/"}}
    template: dict[str, Any] = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Layer": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": "shared/"}},
            "Function": {"Type": "AWS::Serverless::Function", "Properties": {**function, "Events": {"Root": api}}},
        },
    }
    bodies = []
    for greeting in ("Hello", "Good day"):
        source = (
            f"from words.words import word\ndef handler(*_): return dict(statusCode=200, body=f'{greeting} {{word}}')"
        )
        (tmp_path / "functions/one/app.py").write_text(source)
        placed = with_code(template, tmp_path, tmp_path, lambda folder: upload(packed, folder))
        bodies.append(httpx.get(deploy(packed, "packed", placed, {}).api_url, timeout=60).text)

    assert bodies == ["Hello from the layer", "Good day from the layer"]
