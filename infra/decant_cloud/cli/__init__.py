"""Command line of `decant`: every command with its options. The bodies are imported when a command runs.

Each option can be given as an environment variable too, so that `make logs FUNCTION=users_get SINCE=10m` and
`decant logs users_get --since 10m` are the same.
"""

import importlib
import sys
from collections.abc import Sequence

import click

from decant_cloud.cli.command_line import INTERRUPTED, cli
from decant_cloud.errors import CommandError

__all__ = ["cli", "run"]

for _name in ("local_cloud", "scaffold", "tasks", "checks", "releases"):  # the order of `decant --help`
    importlib.import_module(f"decant_cloud.cli.{_name}")


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
