"""Commands of the local cloud."""

import re
from collections.abc import Iterator
from typing import Any

import click

from decant_cloud.cli.command_line import STATE, call, cli, end, option, port


def _check_stack(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[a-z][a-z0-9]{0,19}", value):
        raise click.BadParameter(f"{value!r} is not a stack name; use up to 20 lower-case letters and digits.")
    return value


@cli.command(epilog="Example: decant up --detach, or make up DETACH=1 PORT=4600")
@STATE
@port(4566)
@option("--debug", variable="DEBUG", metavar="FUNCTION", help="Function that waits for a debugger: users_create.")
@port(5678, "DEBUG_PORT", "TCP port on which the function waits for the debugger.")
@option("--stack", variable="STACK", callback=_check_stack, metavar="NAME",
         help="Name of the deployed stack.  [default: the name in pyproject.toml]")  # fmt: skip
@option("--detach", variable="DETACH", is_flag=True, help="Return once it is up; `decant down` stops it.")
@click.option("--detached", is_flag=True, hidden=True)  # the process that --detach starts
@click.pass_context
def up(context: click.Context, /, *, detach: bool, detached: bool, **options: Any) -> int:
    """Start the local cloud and deploy the bundle to it; Ctrl-C stops it.

    With AWS_ENDPOINT_URL, deploy to the emulator at that address, and with DATABASE_URL use that database.
    """
    if detach and not detached:
        return call("local.detached", state=options["state"], arguments=["up", "--detached", *_as_written(context)])
    debug, debug_port = options.pop("debug"), options.pop("debug_port")
    debugger = (debug, debug_port) if debug else None
    return end(call("local.commands.up", detached=detached, debugger=debugger, **options))


@cli.command(epilog="Example: decant down")
@STATE
def down(**options: Any) -> int:
    """Stop what `decant up` or `decant serve` has started, in any terminal."""
    return call("local.commands.down", **options)


@cli.command(epilog="Example: decant serve --port 8080, or make serve PORT=8080")
@STATE
@port(8000)
def serve(**options: Any) -> int:
    """Serve the same functions as one ASGI app under Hypercorn, without AWS."""
    return end(call("local.commands.serve", **options))


@cli.command(epilog="Example: decant status")
@STATE
def status(**options: Any) -> int:
    """Show what runs, where and since when, with every route."""
    return call("local.commands.status", **options)


@cli.command(epilog="Example: decant logs users_create --since 10m, or make logs FUNCTION=users_create SINCE=10m")
@STATE
@click.argument("function", envvar="FUNCTION", required=False)
@option("--since", variable="SINCE", metavar="WHEN", help="Start: 90s, 10m, 2h (ago), 14:30, 2026-11-22T14:30.")
@option("--json", "as_objects", variable="JSON", is_flag=True, help="One JSON object per line.")
@option("--follow/--no-follow", variable="FOLLOW", default=True, help="Wait for further lines.  [default: follow]")
def logs(**options: Any) -> int:
    """Show the log lines of all functions or of one, and follow them."""
    return end(call("local.commands.logs", **options), silently=True)


@cli.command(epilog="Example: decant invoke users_create, or make invoke FUNCTION=users_create EVENT=event.json")
@STATE
@click.argument("function", envvar="FUNCTION")
@option("-e", "--event", variable="EVENT", help="A JSON file, or JSON.  [default: events/<function>.json]")
def invoke(**options: Any) -> int:
    """Invoke a function and print its response."""
    return call("local.commands.invoke", **options)


@cli.command(epilog="""Example: decant send '{"id": 1}' --queue slow, or make send MESSAGE='{"id": 1}' QUEUE=slow""")
@STATE
@click.argument("message", envvar="MESSAGE")
@option("--queue", variable="QUEUE", default="default", show_default=True, help="Queue: default, or DefaultQueue.")
def send(**options: Any) -> int:
    """Send a message to a queue."""
    return call("local.commands.send", **options)


@cli.command(epilog="Example: decant psql --sql 'SELECT 1', or make psql SQL='SELECT 1'")
@STATE
@option("-c", "--sql", variable="SQL", help="Run this statement and exit.")
def psql(**options: Any) -> int:
    """Open psql on the local database."""
    return call("local.commands.psql", **options)


@cli.command(epilog="Example: decant flask myshop db upgrade", context_settings={"ignore_unknown_options": True})
@STATE
@click.argument("function")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND")
def flask(**options: Any) -> int:
    """Run a command of a function's Flask application with the local database.

    FUNCTION is the name of a folder in functions/, and COMMAND what follows `flask` in a shell.
    """
    return call("local.commands.flask", **options)


@cli.command(epilog="Example: decant reset")
@STATE
def reset(**options: Any) -> int:
    """Delete the local database; the next `decant up` starts with an empty one."""
    return call("local.commands.reset", **options)


@cli.command(epilog='Example: decant token --scope tasks:admin, or make token ARGS="--scope tasks:admin"')
@STATE
@option("--scope", help="Scopes of the token, separated by spaces.  [default: all that the functions name]")
@option("--subject", default="local", show_default=True, help="Caller that the token names.")
@option("--seconds", default=3600, show_default=True, help="Seconds for which the token is valid.")
def token(**options: Any) -> int:
    """Create a token that the local cloud accepts."""
    return call("local.tokens", **options)


@cli.command(epilog="Example: decant restore-rehearsal")
@STATE
def restore_rehearsal(**options: Any) -> int:
    """Dump the local database, restore it into a new one, and compare the two."""
    return call("local.restore_rehearsal", **options)


def _as_written(context: click.Context) -> Iterator[str]:
    """The options of a command line, for another process: those with a value, and no flags."""
    for parameter in context.command.params:
        value = context.params[parameter.name or ""]
        if value is not None and not isinstance(value, bool):
            yield from (parameter.opts[0], str(value))
