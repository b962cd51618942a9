"""Bodies through `sam local start-api`, byte for byte."""

import hashlib
import os
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from decant_cloud.local.postgres import free_port
from tests.bodies import ECHO, random_bodies
from tests.sam.conftest import Engine
from tests.sam.runners import SAM

TEMPLATE = """
    Transform: AWS::Serverless-2016-10-31
    Resources:
      Api:
        Type: AWS::Serverless::Api
        Properties: {{StageName: test, BinaryMediaTypes: ["*~1*"]}}
      Layer:
        Type: AWS::Serverless::LayerVersion
        Properties: {{ContentUri: {layer}}}
      Echo:
        Type: AWS::Serverless::Function
        Properties:
          Runtime: python3.13
          Handler: app.handler
          CodeUri: function/
          Timeout: 60
          Layers: [!Ref Layer]
          Events: {{Route: {{Type: Api, Properties: {{RestApiId: !Ref Api, Method: POST, Path: /echo}}}}}}
"""


@pytest.fixture
def api(build_folder: Path, engine: Engine, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of an API that returns what it receives."""
    (tmp_path / "function").mkdir()
    (tmp_path / "function/app.py").write_text(textwrap.dedent(ECHO))
    template = tmp_path / "template.yaml"
    template.write_text(textwrap.dedent(TEMPLATE).format(layer=build_folder / "SharedLayer"))
    port = free_port()
    command = [str(SAM), "local", "start-api", "--template", str(template), "--port", str(port)]
    command += ["--warm-containers", "EAGER", "--region", "us-east-1", *([] if engine.pull else ["--skip-pull-image"])]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        transport = httpx.HTTPTransport(retries=8)  # with growing pauses, until the server listens
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, transport=transport) as client:
                yield client
        finally:
            process.send_signal(signal.SIGINT)


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_random_bytes_pass_in_both_directions(api: httpx.Client) -> None:
    """256 strings of 256 bytes."""
    for sent, _kind in random_bodies():
        response = api.post("/echo", content=sent, headers={"Content-Type": "application/octet-stream"})

        assert response.headers["x-received"] == hashlib.sha256(sent).hexdigest()
        assert response.content == sent
