"""Three ways to run a built function: the local cloud's executor, AWS's emulator of its runtime, and `sam local`."""

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from decant_cloud.lambda_runtime.environment import Environment, Host, Invocation
from decant_cloud.lambda_runtime.function import Function
from decant_cloud.lambda_runtime.log_file import Journal
from decant_cloud.local.postgres import free_port
from decant_cloud.local.warden import Warden
from decant_cloud.template import model
from tests.loading import ROOT

__all__ = ["EMULATOR", "IMAGE", "SAM", "Built", "EmulatorRunner", "ExecutorRunner", "Runner", "SamLocalRunner"]

SAM = ROOT / ".decant/sam/bin/sam"
IMAGE = ROOT / ".decant/lambda-image"
EMULATOR = ROOT / f".decant/sam/lib/python3.13/site-packages/samcli/local/rapid/aws-lambda-rie-{os.uname().machine}"


@dataclass(frozen=True, kw_only=True)
class Built:
    """A function as `sam build` made it.

    Attributes:
        folder: Its own code.
        layers: Folders of its layers.
        template: The template that names it.
    """

    described: model.Function
    folder: Path
    layers: tuple[Path, ...]
    template: Path


class Runner(Protocol):
    """Runs functions; each invocation is a cold start."""

    def invoke(self, function: Built, event: bytes, variables: Mapping[str, str]) -> str:
        """What the caller gets.

        Args:
            function: What to run.
            event: As JSON.
            variables: Over those of the template.
        """


class ExecutorRunner:
    """Runs functions as the local cloud does."""

    def __init__(self, folder: Path, warden: Warden) -> None:
        self._host = Host(image=IMAGE, scratch=folder, journal=Journal(folder / "journal.jsonl"), warden=warden)

    def invoke(self, function: Built, event: bytes, variables: Mapping[str, str]) -> str:
        """Run it in an execution environment of the local cloud."""
        environment = Environment("parity", _function(function, variables), self._host)
        environment.start()
        try:
            invocation = Invocation(request_id="1", event=event, function_arn="arn:aws:lambda", trace_id="Root=1-0-0")
            return environment.invoke(invocation).payload.decode()
        finally:
            environment.stop(drain_s=0)


class EmulatorRunner:
    """Runs functions under AWS's runtime interface emulator, whose program comes with the SAM CLI."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def invoke(self, function: Built, event: bytes, variables: Mapping[str, str]) -> str:
        """Run it under an emulator of its own."""
        launch = _function(function, variables).launch(IMAGE, self._folder, on_line=lambda _line: None)
        described = function.described
        limits = {
            "AWS_LAMBDA_FUNCTION_NAME": described.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(described.memory_mb),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(described.timeout_s)),
        }
        address = f"127.0.0.1:{free_port()}"
        command = [str(EMULATOR), "--runtime-interface-emulator-address", address]
        command += ["--runtime-api-address", f"127.0.0.1:{free_port()}", *launch.command]
        with subprocess.Popen(
            command,
            cwd=launch.folder,
            env={**launch.variables, **limits},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                return _post(f"http://{address}/2015-03-31/functions/function/invocations", event)
            finally:
                os.killpg(process.pid, signal.SIGKILL)


class SamLocalRunner:
    """Runs functions in containers, by `sam local invoke`."""

    def __init__(self, folder: Path, *, pull: bool) -> None:
        self._folder = folder
        self._options = [] if pull else ["--skip-pull-image"]

    def invoke(self, function: Built, event: bytes, variables: Mapping[str, str]) -> str:
        """Run it in a container of its own."""
        settings = self._folder / "variables.json"
        settings.write_text(json.dumps({"Parameters": dict(variables)}))
        command = [str(SAM), "local", "invoke", function.described.logical_id, "--template", str(function.template)]
        command += ["--event", "-", "--env-vars", str(settings), "--region", "us-east-1", *self._options]
        environment = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
        finished = subprocess.run(
            command, input=event, capture_output=True, env=environment, cwd=self._folder, timeout=110, check=False
        )
        return finished.stdout.decode().strip() or finished.stderr.decode()


def _function(function: Built, variables: Mapping[str, str]) -> Function:
    described = function.described
    return Function(
        name=described.name,
        version="$LATEST",
        handler=described.handler,
        timeout_s=described.timeout_s,
        memory_mb=described.memory_mb,
        task=function.folder,
        layers=function.layers,
        watched=[],
        variables={
            **described.known_variables,
            **variables,
            "AWS_LAMBDA_FUNCTION_NAME": described.name,
            "AWS_SAM_LOCAL": "true",  # functions that stream respond with whole bodies
            "AWS_ACCESS_KEY_ID": "defaultkey",  # as `sam local` has them where there are no others
            "AWS_SECRET_ACCESS_KEY": "defaultsecret",
            "AWS_REGION": "us-east-1",
        },
    )


def _post(url: str, body: bytes, patience_s: float = 10) -> str:
    """POST once the port accepts connections; the response's body, for any status."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:  # noqa: S310  # a server of this test
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            with contextlib.suppress(InterruptedError):
                time.sleep(0.05)
