"""Command line of `decant`: every command with its options. The bodies are imported when a command runs.

Each option can be given as an environment variable too, so that `make logs FUNCTION=users_get SINCE=10m` and
`decant logs users_get --since 10m` are the same.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from decant_cloud import signals
from decant_cloud.errors import CommandError
from decant_cloud.paths import state as state_folder

__all__ = ["cli", "run"]

INTERRUPTED = 130
"""Exit status after Ctrl-C, as of a shell."""


class _Group(click.Group):
    """Commands in the order of their definition."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        return list(self.commands)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns the exit status. An error is one line on standard error."""
    try:
        return int(cli.main(arguments, "decant", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        if isinstance(error, click.MissingParameter) and context is not None:
            print(f"{context.get_usage()}\n{context.command.epilog or ''}", file=sys.stderr)
        print(f"error: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except CommandError as error:
        from decant_cloud.local.terminal import printable  # noqa: PLC0415  # rich, which takes 0.1 s to import

        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    except click.Abort:
        return INTERRUPTED
    return click.UsageError.exit_code


def _call(body: str, **options: Any) -> int:
    """Import a command's module and call its `run`, with the options as keyword arguments.

    Returns:
        Exit status: what `run` returns, 0 for None.
    Raises:
        CommandError: the command failed, with a message of one line.
    """
    module = importlib.import_module(f"decant_cloud.{body}")
    signals.interrupt()
    try:
        return module.run(**options) or 0
    except KeyboardInterrupt:
        return INTERRUPTED


def _port(default: int, variable: str = "PORT", about: str = "TCP port on 127.0.0.1.") -> Callable[..., Any]:
    name = f"--{variable.lower().replace('_', '-')}"
    return click.option(
        name, envvar=variable, type=click.IntRange(1, 65535), default=default, metavar="PORT", help=about,
        show_default=True, show_envvar=True,
    )  # fmt: skip


def _option(*names: str, variable: str | None = None, **attributes: Any) -> Callable[..., Any]:
    """An option that its environment variable can set too."""
    return click.option(*names, envvar=variable, show_envvar=variable is not None, **attributes)


_STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=state_folder,
    show_default=".decant/local",
    metavar="FOLDER",
    help="Folder of the local cloud, with its database.",
)
_STAGE = click.argument("stage", envvar="STAGE", default="local")


def _check_stack(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[a-z][a-z0-9]{0,19}", value):
        raise click.BadParameter(f"{value!r} is not a stack name; use up to 20 lower-case letters and digits.")
    return value


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def cli() -> None:
    """Develop, check and deploy a bundle of Flask functions.

    The bundle is the folder of template.yaml: the current one, one above it, or DECANT_BUNDLE.
    """


# ---------------------------------------------------------------- the local cloud


@cli.command(epilog="Example: decant up --detach, or make up DETACH=1 PORT=4600")
@_STATE
@_port(4566)
@_option("--debug", variable="DEBUG", metavar="FUNCTION", help="Function that waits for a debugger: users_create.")
@_port(5678, "DEBUG_PORT", "TCP port on which the function waits for the debugger.")
@_option("--stack", variable="STACK", callback=_check_stack, metavar="NAME",
         help="Name of the deployed stack.  [default: the name in pyproject.toml]")  # fmt: skip
@_option("--detach", variable="DETACH", is_flag=True, help="Return once it is up; `decant down` stops it.")
@click.option("--detached", is_flag=True, hidden=True)  # the process that --detach starts
@click.pass_context
def up(context: click.Context, /, *, detach: bool, detached: bool, **options: Any) -> int:
    """Start the local cloud and deploy the bundle to it; Ctrl-C stops it.

    With AWS_ENDPOINT_URL, deploy to the emulator at that address, and with DATABASE_URL use that database.
    """
    if detach and not detached:
        return _call("local.detached", state=options["state"], arguments=["up", "--detached", *_as_written(context)])
    debug, debug_port = options.pop("debug"), options.pop("debug_port")
    debugger = (debug, debug_port) if debug else None
    return _end(_call("local.commands.up", detached=detached, debugger=debugger, **options))


@cli.command(epilog="Example: decant down")
@_STATE
def down(**options: Any) -> int:
    """Stop what `decant up` or `decant serve` has started, in any terminal."""
    return _call("local.commands.down", **options)


@cli.command(epilog="Example: decant serve --port 8080, or make serve PORT=8080")
@_STATE
@_port(8000)
def serve(**options: Any) -> int:
    """Serve the same functions as one ASGI app under Hypercorn, without AWS."""
    return _end(_call("local.commands.serve", **options))


@cli.command(epilog="Example: decant status")
@_STATE
def status(**options: Any) -> int:
    """Show what runs, where and since when, with every route."""
    return _call("local.commands.status", **options)


@cli.command(epilog="Example: decant logs users_create --since 10m, or make logs FUNCTION=users_create SINCE=10m")
@_STATE
@click.argument("function", envvar="FUNCTION", required=False)
@_option("--since", variable="SINCE", metavar="WHEN", help="Start: 90s, 10m, 2h (ago), 14:30, 2026-11-22T14:30.")
@_option("--json", "as_objects", variable="JSON", is_flag=True, help="One JSON object per line.")
@_option("--follow/--no-follow", variable="FOLLOW", default=True, help="Wait for further lines.  [default: follow]")
def logs(**options: Any) -> int:
    """Show the log lines of all functions or of one, and follow them."""
    return _end(_call("local.commands.logs", **options), silently=True)


@cli.command(epilog="Example: decant invoke users_create, or make invoke FUNCTION=users_create EVENT=event.json")
@_STATE
@click.argument("function", envvar="FUNCTION")
@_option("-e", "--event", variable="EVENT", help="A JSON file, or JSON.  [default: events/<function>.json]")
def invoke(**options: Any) -> int:
    """Invoke a function and print its response."""
    return _call("local.commands.invoke", **options)


@cli.command(epilog="""Example: decant send '{"id": 1}' --queue slow, or make send MESSAGE='{"id": 1}' QUEUE=slow""")
@_STATE
@click.argument("message", envvar="MESSAGE")
@_option("--queue", variable="QUEUE", default="default", show_default=True, help="Queue: default, or DefaultQueue.")
def send(**options: Any) -> int:
    """Send a message to a queue."""
    return _call("local.commands.send", **options)


@cli.command(epilog="Example: decant psql --sql 'SELECT 1', or make psql SQL='SELECT 1'")
@_STATE
@_option("-c", "--sql", variable="SQL", help="Run this statement and exit.")
def psql(**options: Any) -> int:
    """Open psql on the local database."""
    return _call("local.commands.psql", **options)


@cli.command(epilog="Example: decant reset")
@_STATE
def reset(**options: Any) -> int:
    """Delete the local database; the next `decant up` starts with an empty one."""
    return _call("local.commands.reset", **options)


@cli.command(epilog='Example: decant token --scope tasks:admin, or make token ARGS="--scope tasks:admin"')
@_STATE
@_option("--scope", help="Scopes of the token, separated by spaces.  [default: all that the functions name]")
@_option("--seconds", default=3600, show_default=True, help="Seconds for which the token is valid.")
def token(**options: Any) -> int:
    """Create a token that the local cloud accepts."""
    return _call("local.tokens", **options)


@cli.command(epilog="Example: decant restore-rehearsal")
@_STATE
def restore_rehearsal(**options: Any) -> int:
    """Dump the local database, restore it into a new one, and compare the two."""
    return _call("local.restore_rehearsal", **options)


# ---------------------------------------------------------------- scaffolding


class _NewGroup(_Group):
    """`decant new myshop` is `decant new bundle myshop`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        is_folder = name not in self.commands and not name.startswith("-")
        return super().resolve_command(ctx, ["bundle", *args] if is_folder else args)


@cli.group(cls=_NewGroup, epilog='Examples: decant new myshop; decant new function "GET /rooms" --database')
def new() -> None:
    """Make a bundle, or add a part to the bundle, with its test.

    `decant new myshop` makes the bundle myshop in a new folder.
    """


@new.command(epilog="Example: decant new ../myshop --wheels dist")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--wheels", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Folder of the wheels decant_flask and decant_cloud.  [default: shared/wheels, dist]")  # fmt: skip
@click.option("--demo", is_flag=True, help="Keep the functions of the demo.")
def bundle(**options: Any) -> int:
    """Make a bundle in a new folder, whose name is the bundle's: a git repository with one commit."""
    return _call("scaffold.commands", kind="bundle", **options)


@new.command(epilog='Example: decant new function "GET /rooms" --database --queue --auth bookings:read --internet')
@click.argument("route")
@click.option("--name", help="Name of the function's folder.  [default: rooms_list for GET /rooms]")
@click.option("--database", is_flag=True, help="It uses PostgreSQL.")
@click.option("--queue", is_flag=True, help="It starts background tasks.")
@click.option("--auth", metavar="SCOPE", help="It requires a token with this scope.")
@click.option("--internet", is_flag=True, help="It requests other services.")
def function(**options: Any) -> int:
    """Add a function with a route: folder, block of template.yaml, event, test and import budget."""
    return _call("scaffold.commands", kind="function", **options)


@new.command(epilog="Example: decant new task send_report")
@click.argument("name")
def task(**options: Any) -> int:
    """Add a task to shared/domain/tasks.py, and its test."""
    return _call("scaffold.commands", kind="task", **options)


@new.command(epilog='Examples: decant new schedule clean_up "0 3 * * *"; decant new schedule poll 300')
@click.argument("name")
@click.argument("schedule")
def schedule(**options: Any) -> int:
    """Add a task that runs periodically, and its test: every so many seconds, or at times of cron in UTC."""
    return _call("scaffold.commands", kind="schedule", **options)


@new.command(epilog="Example: decant new queue slow")
@click.argument("name")
def queue(**options: Any) -> int:
    """Add a queue for @task(queue=…), with the function that runs its tasks."""
    return _call("scaffold.commands", kind="queue", **options)


@new.command(epilog='Example: decant new migration "add phone"')
@click.argument("title")
@click.option("--empty", "is_empty", is_flag=True, help="Write no changes, for statements written by hand.")
def migration(**options: Any) -> int:
    """Write a migration that changes the database to the models in shared/domain."""
    return _call("scaffold.commands", kind="migration", **options)


@new.command(epilog="Example: decant new admin")
def admin(**options: Any) -> int:
    """Add the routes that list, revoke and redrive tasks and list queues, for tokens with the scope tasks:admin."""
    return _call("scaffold.commands", kind="admin", **options)


@cli.group(cls=_Group, epilog="Example: decant remove function rooms_list")
def remove() -> None:
    """Remove a part of the bundle."""


@remove.command("function", epilog="Example: decant remove function rooms_list")
@click.argument("name")
def remove_function(**options: Any) -> int:
    """Remove a function: folder, block of template.yaml, event, test and import budget."""
    return _call("scaffold.commands", kind="removal", **options)


@cli.command(epilog="Example: decant upgrade ../decant/dist")
@click.argument("wheels", type=click.Path(path_type=Path, file_okay=False, exists=True))
def upgrade(**options: Any) -> int:
    """Move the bundle to other versions of decant-flask and decant-cloud.

    WHEELS is the folder with both wheels. The pins are changed, and the files that `decant new` wrote are merged with
    those of the new version; your functions, models and tests stay as they are.
    """
    return _call("scaffold.upgrade", **options)


# ---------------------------------------------------------------- tasks


@cli.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog="Example: decant worker -Q mail -c 20",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def worker(arguments: tuple[str, ...]) -> int:
    """Run tasks until a signal ends it, as `python -m decant worker` does; --help lists its options."""
    return _call("worker_command", arguments=list(arguments))


@cli.group(cls=_Group, epilog="Example: decant celery check src --fix")
def celery() -> None:
    """Move code from Celery to decant.celery."""


@celery.command("check", epilog="Example: decant celery check src --fix")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--fix", is_flag=True, help="Change the imports of Celery to those of decant.celery.")
def celery_check(**options: Any) -> int:
    """Report with file and line what differs and what must change; the exit status is 1 when something must."""
    return _call("celery_check.command", **options)


# ---------------------------------------------------------------- checks and documents


@cli.command(epilog="Example: decant check")
def check() -> int:
    """Compare template.yaml, functions/, events/ and openapi.json, and each function's imports with its budget."""
    checks = ("layout", "uses", "import_budget")
    return max(*(_call(f"checks.{name}") for name in checks), _call("openapi.command", check=True))


@cli.command(epilog="Example: decant check-deploy prod, or make check-deploy STAGE=prod")
@_STAGE
@click.argument("overrides", nargs=-1, metavar="[PARAMETER=VALUE]...")
def check_deploy(**options: Any) -> int:
    """Check a stage of samconfig.toml before it is deployed: connections, timeouts, sizes, alarms, roles.

    Overrides replace the parameters that samconfig.toml sets.
    """
    return _call("checks.deploy", **options)


@cli.command(epilog="Example: decant check-policy")
def check_policy() -> int:
    """Scan what would be deployed, and the role that deploys it, for unsafe settings."""
    return max(_call("checks.policy"), _call("checks.stack_role"))


@cli.command(epilog="Example: decant openapi")
def openapi() -> int:
    """Write functions/api_docs/openapi.json, the OpenAPI document of all routes."""
    return _call("openapi.command")


@cli.command(epilog="Example: decant docs")
def docs() -> int:
    """Write the README's table of settings and the list of licences."""
    return max(_call("checks.settings_table"), _call("checks.licences"))


# ---------------------------------------------------------------- releases


@cli.command(epilog="Example: decant build prod, or make build STAGE=prod")
@_STAGE
def build(**options: Any) -> int:
    """Build layer and functions with SAM."""
    return _call("release.sam", command="build", **options)


@cli.command(epilog="Example: decant deploy dev, or make deploy STAGE=local PORT=4600")
@_STAGE
@_port(4566, about="Port of the local cloud, for the stage local.")
def deploy(**options: Any) -> int:
    """Build, check and deploy a stage with SAM; the stage local is the cloud that `decant up` has started."""
    return _call("release.sam", command="deploy", **options)


@cli.command(epilog="Example: make release STAGE=prod RELEASE=1a2b3c ARTEFACT_BUCKET=…")
@_STAGE
@_option("--release", variable="RELEASE", help="Name of the release, for logs and traces.")
@_option("--bucket", variable="ARTEFACT_BUCKET", help="S3 bucket for the packages.")
@_option("--role", variable="CLOUDFORMATION_ROLE_ARN", help="Role of CloudFormation.")
@_option("--boundary", variable="BOUNDARY_ARN", help="Permissions boundary of the roles that the stack creates.")
def release(stage: str, release: str | None, bucket: str | None, role: str | None, boundary: str | None) -> int:
    """Deploy what was built, as the pipeline does: without questions and without a build."""
    given = {"Release": release, "s3-bucket": bucket, "role-arn": role, "PermissionsBoundary": boundary}
    return _call("release.sam", command="release", stage=stage, release=given)


@cli.command(epilog="Example: decant smoke prod, decant smoke --url https://api.example.com, or make smoke STAGE=prod")
@_STATE
@_STAGE
@_option("--stack", help="Name of the deployed stack.  [default: that of the stage]")
@_option("--url", help="Address of the stage, in place of its stack.")
@_option("--token", variable="SMOKE_TOKEN", help="Token for a stage with Auth=jwt. Without it, only the rejection of "
         "anonymous callers is checked.")  # fmt: skip
def smoke(**options: Any) -> int:
    """Test a deployed stage from outside: its GET routes, queue and worker, and the tests in tests/smoke/."""
    return _call("release.smoke", **options)


@cli.group(cls=_Group, epilog="Example: decant aliases record prod > before.json")
def aliases() -> None:
    """Record the versions behind a stage's aliases, and restore them after a failed release."""


@aliases.command(epilog="Example: decant aliases record prod > before.json")
@click.argument("stage", envvar="STAGE")
def record(**options: Any) -> int:
    """Print the version behind each function's alias, as JSON."""
    return _call("release.aliases", command="record", **options)


@aliases.command(epilog="Example: decant aliases restore prod < before.json")
@click.argument("stage", envvar="STAGE")
def restore(**options: Any) -> int:
    """Move each function's alias back to the version that standard input names."""
    return _call("release.aliases", command="restore", **options)


@cli.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    epilog="Example: decant install --with sam",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def install(**options: Any) -> int:
    """Install everything that the bundle needs into .venv and .decant, or lock the requirements (--lock)."""
    return _call("install", **options)


def _as_written(context: click.Context) -> Iterator[str]:
    """The options of a command line, for another process: those with a value, and no flags."""
    for parameter in context.command.params:
        value = context.params[parameter.name or ""]
        if value is not None and not isinstance(value, bool):
            yield from (parameter.opts[0], str(value))


def _end(status: int, *, silently: bool = False) -> int:
    """Exit status of a command that runs until it is interrupted."""
    if status != INTERRUPTED:
        return status
    if not silently:
        print("Stopped.")
    return 0
