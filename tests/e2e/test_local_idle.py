"""Idle environments of the local cloud."""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from decant_cloud.local.deploy import Cloud
from decant_cloud.local.engine_server import EngineServer
from decant_cloud.local.postgres import free_port
from decant_cloud.local.warden import Warden
from tests.e2e.running import QUICKLY
from tests.lambda_storm import archive

KEPT_MS = 500


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Lambda alone, which ends environments after half a second, not ten minutes."""
    warden = Warden()
    settings = {"LAMBDA_KEEPALIVE_MS": str(KEPT_MS)}
    with (
        tempfile.TemporaryDirectory() as folder,
        EngineServer(Path(folder), free_port(), warden, settings) as localstack,
    ):
        yield Cloud(localstack.url)
    warden.close()


@pytest.mark.long
def test_idle_environment_ends(cloud: Cloud) -> None:
    """Its process goes; the next invocation runs in another one."""
    client = cloud.client("lambda")
    client.create_function(
        FunctionName="idle",
        Runtime="python3.13",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/test",
        Code={"ZipFile": archive("import os\ndef handler(event, context): return os.getpid()")},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="idle", WaiterConfig=QUICKLY)
    first = json.loads(client.invoke(FunctionName="idle")["Payload"].read())

    deadline = time.monotonic() + 60
    while psutil.pid_exists(first) and time.monotonic() < deadline:
        time.sleep(0.1)
    second = json.loads(client.invoke(FunctionName="idle")["Payload"].read())

    assert not psutil.pid_exists(first)
    assert second != first
