"""`new`: a function or a task with all that belongs to it."""

import argparse

from rich.console import Console

from infra.local.cloud import ROOT
from infra.local.new_function import add_function
from infra.local.new_task import add_task
from infra.local.routes import Route

__all__ = ["run"]


def run(console: Console, arguments: argparse.Namespace) -> None:
    """Write the files and name them.

    Raises:
        LocalCloudError: the name or the route cannot be taken; nothing was written.
    """
    if arguments.kind == "function":
        written = add_function(ROOT, arguments.name, Route.parse(arguments.route), arguments.like)
    else:
        written = add_task(ROOT, arguments.name)
    for path in written:
        console.print(f"[green]✓[/] {path.relative_to(ROOT)}", highlight=False, soft_wrap=True)
