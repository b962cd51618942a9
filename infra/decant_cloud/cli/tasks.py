"""Commands of tasks."""

from pathlib import Path
from typing import Any

import click

from decant_cloud.cli.command_line import STATE, Group, call, cli


@cli.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog="Example: decant worker -Q mail -c 20",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def worker(arguments: tuple[str, ...]) -> int:
    """Run tasks until a signal ends it, as `python -m decant worker` does; --help lists its options."""
    return call("worker_command", arguments=list(arguments))


@cli.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog="Example: decant workflows show ID, or decant workflows check --sample runs.json",
)
@STATE
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def workflows(**options: Any) -> int:
    """List, show, signal, fork, rewind and check runs of workflows, of DATABASE_URL or of the local cloud."""
    return call("local.commands.library", command="workflows", **options)


@cli.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog="Example: decant tasks list --state FAILURE, or decant tasks status --watch",
)
@STATE
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def tasks(**options: Any) -> int:
    """List, show, retry, cancel and redrive tasks, and pause queues and schedules, of a database or a stage."""
    return call("local.commands.library", command="tasks", **options)


@cli.group(cls=Group, epilog="Example: decant celery check src --fix")
def celery() -> None:
    """Move code from Celery to decant.celery."""


@celery.command("check", epilog="Example: decant celery check src --fix")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--fix", is_flag=True, help="Change the imports of Celery to those of decant.celery.")
def celery_check(**options: Any) -> int:
    """Report with file and line what differs and what must change; the exit status is 1 when something must."""
    return call("celery_check.command", **options)
