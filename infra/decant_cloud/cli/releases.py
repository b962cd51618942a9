"""Commands that build, deploy and test a stage."""

from typing import Any

import click

from decant_cloud.cli.command_line import STAGE, STATE, Group, call, cli, option, port


@cli.command(epilog="Example: decant build prod, or make build STAGE=prod")
@STAGE
def build(**options: Any) -> int:
    """Build layer and functions with SAM."""
    return call("release.sam", command="build", **options)


@cli.command(epilog="Example: decant deploy dev, or make deploy STAGE=local PORT=4600")
@STAGE
@port(4566, about="Port of the local cloud, for the stage local.")
def deploy(**options: Any) -> int:
    """Build, check and deploy a stage with SAM; the stage local is the cloud that `decant up` has started."""
    return call("release.sam", command="deploy", **options)


@cli.command(epilog="Example: make release STAGE=prod RELEASE=1a2b3c ARTEFACT_BUCKET=…")
@STAGE
@option("--release", variable="RELEASE", help="Name of the release, for logs and traces.")
@option("--bucket", variable="ARTEFACT_BUCKET", help="S3 bucket for the packages.")
@option("--role", variable="CLOUDFORMATION_ROLE_ARN", help="Role of CloudFormation.")
@option("--boundary", variable="BOUNDARY_ARN", help="Permissions boundary of the roles that the stack creates.")
def release(stage: str, release: str | None, bucket: str | None, role: str | None, boundary: str | None) -> int:
    """Deploy what was built, as the pipeline does: without questions and without a build."""
    given = {"Release": release, "s3-bucket": bucket, "role-arn": role, "PermissionsBoundary": boundary}
    return call("release.sam", command="release", stage=stage, release=given)


@cli.command(epilog="Example: decant smoke prod, decant smoke --url https://api.example.com, or make smoke STAGE=prod")
@STATE
@STAGE
@option("--stack", help="Name of the deployed stack.  [default: that of the stage]")
@option("--url", help="Address of the stage, in place of its stack.")
@option("--token", variable="SMOKE_TOKEN", help="Token for a stage with Auth=jwt. Without it, only the rejection of "
         "anonymous callers is checked.")  # fmt: skip
def smoke(**options: Any) -> int:
    """Test a deployed stage from outside: its GET routes, queue and worker, and the tests in tests/smoke/."""
    return call("release.smoke", **options)


@cli.group(cls=Group, epilog="Example: decant aliases record prod > before.json")
def aliases() -> None:
    """Record the versions behind a stage's aliases, and restore them after a failed release."""


@aliases.command(epilog="Example: decant aliases record prod > before.json")
@click.argument("stage", envvar="STAGE")
def record(**options: Any) -> int:
    """Print the version behind each function's alias, as JSON."""
    return call("release.aliases", command="record", **options)


@aliases.command(epilog="Example: decant aliases restore prod < before.json")
@click.argument("stage", envvar="STAGE")
def restore(**options: Any) -> int:
    """Move each function's alias back to the version that standard input names."""
    return call("release.aliases", command="restore", **options)
