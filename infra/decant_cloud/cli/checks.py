"""Commands that check a bundle and write its documents."""

from pathlib import Path
from typing import Any

import click

from decant_cloud.cli.command_line import STAGE, call, cli


@cli.command(epilog="Example: decant check")
def check() -> int:
    """Compare template.yaml, functions/, events/ and openapi.json, and each function's imports with its budget."""
    checks = ("layout", "uses", "import_budget")
    return max(*(call(f"checks.{name}") for name in checks), call("openapi.command", check=True))


@cli.command(epilog="Example: decant check-deploy prod, or make check-deploy STAGE=prod")
@STAGE
@click.argument("overrides", nargs=-1, metavar="[PARAMETER=VALUE]...")
def check_deploy(**options: Any) -> int:
    """Check a stage of samconfig.toml before it is deployed: connections, timeouts, sizes, alarms, roles.

    Overrides replace the parameters that samconfig.toml sets.
    """
    return call("checks.deploy", **options)


@cli.command(epilog="Example: decant check-policy")
def check_policy() -> int:
    """Scan what would be deployed, and the role that deploys it, for unsafe settings."""
    return max(call("checks.policy"), call("checks.stack_role"))


@cli.command(epilog="Example: decant openapi")
def openapi() -> int:
    """Write functions/api_docs/openapi.json, the OpenAPI document of all routes."""
    return call("openapi.command")


@cli.command(epilog="Example: decant limits")
def limits() -> int:
    """List the routes with `limit_per_caller` in infra/edge.yaml: in the usage plan and in the firewall's rule."""
    return call("scaffold.commands", kind="limits")


@cli.command(epilog="Example: make client, or decant client ../shop-client")
@click.argument("folder", default="client", type=click.Path(path_type=Path, file_okay=False))
def client(**options: Any) -> int:
    """Generate a typed Python client from openapi.json into a folder, client/ by default."""
    return call("openapi.client", **options)


@cli.command(epilog="Example: decant docs")
def docs() -> int:
    """Write the README's table of settings and the list of licences."""
    return max(call("checks.settings_table"), call("checks.licences"))
