"""SAM's own commands on this repository."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from decant_cloud.local.postgres import free_port
from tests.loading import ROOT
from tests.sam.conftest import Engine
from tests.sam.runners import SAM, Built


def test_template_is_valid_for_sam() -> None:
    """`sam validate --lint` finds nothing."""
    finished = subprocess.run([SAM, "validate", "--lint"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_built_functions_carry_their_own_code_and_nothing_else(build_folder: Path) -> None:
    """What they share is in the layer."""
    built = {path.name for path in (build_folder / "UsersGet").rglob("*")}

    assert built == {"app.py"}


@pytest.mark.docker
@pytest.mark.timeout(300)
def test_api_answers_under_sam_local_start_api(build_folder: Path, engine: Engine) -> None:
    """A route is served at the address that `sam local start-api` prints."""
    assert get_under_start_api(build_folder, "/async?seconds=0", engine) == "Async Response"


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_poured_application_responds_under_sam_local_start_api(poured: Built, engine: Engine) -> None:
    """A page of Flask's tutorial, whose code is in the layer."""
    assert "<h1>Log In</h1>" in get_under_start_api(poured.template.parent, "/auth/login", engine)


def get_under_start_api(built: Path, path: str, engine: Engine) -> str:
    """Body of a response of `sam local start-api`."""
    port = free_port()
    command = [str(SAM), "local", "start-api", "--template", str(built / "template.yaml"), "--port", str(port)]
    command += [] if engine.pull else ["--skip-pull-image"]
    with subprocess.Popen(
        [*command, "--region", "us-east-1"],
        cwd=built,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            return get(f"http://127.0.0.1:{port}{path}", patience_s=120)
        finally:
            process.send_signal(signal.SIGINT)


def get(url: str, patience_s: float) -> str:
    """GET once the port accepts connections."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=patience_s) as answer:  # noqa: S310  # our own
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
