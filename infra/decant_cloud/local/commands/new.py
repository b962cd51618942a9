"""`new`: a function or a task with all that belongs to it."""

import argparse

from rich.console import Console

from decant_cloud.paths import root
from decant_cloud.scaffold.new_function import add_function
from decant_cloud.scaffold.new_task import add_task
from decant_cloud.scaffold.routes import Route

__all__ = ["run"]


def run(console: Console, arguments: argparse.Namespace) -> None:
    """Write the files and name them.

    Raises:
        LocalCloudError: the name or the route cannot be taken; nothing was written.
    """
    if arguments.kind == "function":
        written = add_function(root(), arguments.name, Route.parse(arguments.route), arguments.like)
    else:
        written = add_task(root(), arguments.name)
    for path in written:
        console.print(f"[green]✓[/] {path.relative_to(root())}", highlight=False, soft_wrap=True)
