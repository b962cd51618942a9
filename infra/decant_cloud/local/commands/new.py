"""`new`: a function or a task with all that belongs to it."""

from decant_cloud.local.terminal import output
from decant_cloud.paths import root
from decant_cloud.scaffold.new_function import add_function
from decant_cloud.scaffold.new_task import add_task
from decant_cloud.scaffold.routes import Route

__all__ = ["run"]


def run(*, kind: str, name: str, route: str = "", like: str = "") -> None:
    """Write the files and name them.

    Raises:
        LocalCloudError: the name or the route cannot be taken; nothing was written.
    """
    console = output()
    written = add_function(root(), name, Route.parse(route), like) if kind == "function" else add_task(root(), name)
    for path in written:
        console.print(f"[green]✓[/] {path.relative_to(root())}", highlight=False, soft_wrap=True)
