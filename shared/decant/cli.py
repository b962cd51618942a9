"""Commands for a shell that can reach the database: `python -m decant redrive --name domain.tasks.mail`."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime

from decant import loop
from decant.tasks.admin import redrive
from decant.worker.process import main as worker

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["worker"]:
        return worker(words[1:])
    if words[:1] == ["workflows"]:
        from decant.workflows.commands import main as workflows  # noqa: PLC0415  # other commands do not need it

        return workflows(words[1:])
    if words[:1] == ["tasks"]:
        from decant.console.commands import main as tasks  # noqa: PLC0415  # other commands do not need it

        return tasks(words[1:])
    parser = argparse.ArgumentParser(prog="python -m decant")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("worker", help="run tasks until a signal ends it", add_help=False)
    commands.add_parser("workflows", help="show and change runs of workflows", add_help=False)
    commands.add_parser("tasks", help="show and change tasks, schedules and queues", add_help=False)
    command = commands.add_parser("redrive", help="run failed tasks again and print their ids")
    command.add_argument("ids", nargs="*", help="only these tasks")
    command.add_argument("--name", help="only tasks of this name")
    command.add_argument("--error", help="only tasks that ended with an error of this class")
    command.add_argument("--since", type=datetime.fromisoformat, help="only tasks finished at this time or later")
    command.add_argument("--until", type=datetime.fromisoformat, help="only tasks finished before this time")
    given = vars(parser.parse_args(words))
    ids = given.pop("ids") or None
    if ids is None and not any(given.values()):
        command.error("at least one condition is required")
    for result in loop.run(redrive(ids, **given)):
        print(result.id)  # noqa: T201  # output of a command
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
