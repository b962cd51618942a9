"""SAM's commands for a stage of samconfig.toml: build, deploy, and release as the pipeline does."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from decant_cloud import install
from decant_cloud.bundle import bundle
from decant_cloud.checks import deploy
from decant_cloud.local.deploy import Cloud, delete_failed
from decant_cloud.paths import root
from decant_cloud.template.stage import configured

__all__ = ["run"]

LOCAL = "local"


def run(*, command: str, stage: str, port: int = 0, release: Mapping[str, str | None] | None = None) -> int:
    """Run SAM; returns the exit status.

    Args:
        command: `build`; `deploy`, which builds and checks first; or `release`, which deploys what was built.
        stage: A stage of samconfig.toml.
        port: TCP port of the local cloud, for the stage `local`.
        release: Options and parameters of a release: `s3-bucket`, `role-arn`, `Release`, `PermissionsBoundary`.
    """
    if failed := install.run(["--with", "sam"]):
        return failed
    if command == "build":
        return _sam("build", stage)
    if command == "release":
        if failed := deploy.run(stage=stage, strict=True):
            return failed
        return _sam("deploy", stage, *_release(stage, release or {}))
    if failed := _sam("build", stage) or deploy.run(stage=stage, strict=True):
        return failed
    environment = _local_cloud(port) if stage == LOCAL else {}
    if environment:
        delete_failed(Cloud(environment["AWS_ENDPOINT_URL"]), f"{bundle().name}-built")
    return _sam("deploy", stage, environment=environment)


def _release(stage: str, given: Mapping[str, str | None]) -> list[str]:
    """Arguments of `sam deploy` in a pipeline: given parameters replace those of samconfig.toml."""
    options = [f"--{name}={value}" for name, value in given.items() if name.islower() and value]
    own = {name: value for name, value in given.items() if name[0].isupper() and value}
    parameters = [f"{name}={value}" for name, value in (configured(root(), stage) | own).items()]
    fixed = ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-resolve-s3"]
    return [*fixed, *options, "--parameter-overrides", *parameters]


def _local_cloud(port: int) -> dict[str, str]:
    """Variables that lead SAM to the local cloud, unless the environment sets them."""
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    return {name: os.environ.get(name, value) for name, value in variables.items()}


def _sam(command: str, stage: str, *arguments: str, environment: Mapping[str, str] | None = None) -> int:
    # SAM builds the functions with the Python on the path, which has to be the bundle's.
    programs = [str(Path(sys.executable).parent), str(root() / ".decant/sam/bin")]
    path = os.pathsep.join([*programs, os.environ.get("PATH", "")])
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables = {**plain, "PATH": path, "SAM_CLI_TELEMETRY": "0", **(environment or {})}
    sam = str(root() / ".decant/sam/bin/sam")
    line = [sam, command, "--config-env", stage, *arguments]
    return subprocess.run(line, cwd=root(), env=variables, check=False).returncode
