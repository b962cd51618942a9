"""Commands that make, install and change a bundle."""

from pathlib import Path
from typing import Any

import click

from decant_cloud.cli.command_line import Group, call, cli


class _NewGroup(Group):
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
    return call("scaffold.commands", kind="bundle", **options)


@new.command(epilog='Example: decant new function "GET /rooms" --database --queue --auth bookings:read --internet')
@click.argument("route")
@click.option("--name", help="Name of the function's folder.  [default: rooms_list for GET /rooms]")
@click.option("--database", is_flag=True, help="It uses PostgreSQL.")
@click.option("--queue", is_flag=True, help="It starts background tasks.")
@click.option("--auth", metavar="SCOPE", help="It requires a token with this scope.")
@click.option("--internet", is_flag=True, help="It requests other services.")
def function(**options: Any) -> int:
    """Add a function with a route: folder, block of template.yaml, event, test and import budget."""
    return call("scaffold.commands", kind="function", **options)


@new.command(epilog="Example: decant new task send_report")
@click.argument("name")
def task(**options: Any) -> int:
    """Add a task to shared/domain/tasks.py, and its test."""
    return call("scaffold.commands", kind="task", **options)


@new.command(epilog='Examples: decant new schedule clean_up "0 3 * * *"; decant new schedule poll 300')
@click.argument("name")
@click.argument("schedule")
def schedule(**options: Any) -> int:
    """Add a task that runs periodically, and its test: every so many seconds, or at times of cron in UTC."""
    return call("scaffold.commands", kind="schedule", **options)


@new.command(epilog="Example: decant new queue slow")
@click.argument("name")
def queue(**options: Any) -> int:
    """Add a queue for @task(queue=…), with the function that runs its tasks."""
    return call("scaffold.commands", kind="queue", **options)


@new.command(epilog='Example: decant new migration "add phone"')
@click.argument("title")
@click.option("--empty", "is_empty", is_flag=True, help="Write no changes, for statements written by hand.")
def migration(**options: Any) -> int:
    """Write a migration that changes the database to the models in shared/domain."""
    return call("scaffold.commands", kind="migration", **options)


@new.command(epilog="Example: decant new admin")
def admin(**options: Any) -> int:
    """Add the routes that administer tasks, queues and workflows, for tokens with the scope tasks:admin."""
    return call("scaffold.commands", kind="admin", **options)


@cli.group(cls=Group, epilog="Example: decant remove function rooms_list")
def remove() -> None:
    """Remove a part of the bundle."""


@remove.command("function", epilog="Example: decant remove function rooms_list")
@click.argument("name")
def remove_function(**options: Any) -> int:
    """Remove a function: folder, block of template.yaml, event, test and import budget."""
    return call("scaffold.commands", kind="removal", **options)


@cli.command(epilog="Example: decant upgrade ../decant/dist")
@click.argument("wheels", type=click.Path(path_type=Path, file_okay=False, exists=True))
def upgrade(**options: Any) -> int:
    """Move the bundle to other versions of decant-flask and decant-cloud.

    WHEELS is the folder with both wheels. The pins are changed, and the files that `decant new` wrote are merged with
    those of the new version; your functions, models and tests stay as they are.
    """
    return call("scaffold.upgrade", **options)


@cli.command(epilog="Example: decant pour ../microblog:create_app --into ../myshop")
@click.argument("target", metavar="PATH[:NAME]")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Make a new bundle in this folder.",
)
@click.option("--split", type=click.Choice(["one", "blueprint", "route"]), default="one", show_default=True,
              help="Functions: one for all routes, one for each blueprint, or one for each endpoint.")  # fmt: skip
@click.option("--name", help="Name of the function.  [default: that of the package or project]")
@click.option(
    "--python",
    type=click.Path(path_type=Path, exists=True),
    help="Interpreter, or virtual environment, of the application.",
)
@click.option(
    "--requirements", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="File with its requirements."
)
@click.option(
    "--setup", multiple=True, metavar="COMMAND", help="Command of its CLI that creates the tables of SQLite, init-db."
)
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="With --into, as of `new bundle`.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and the findings, and write nothing.")
def pour(**options: Any) -> int:
    """Put an existing Flask application into functions of the bundle, or of a new one.

    Its code is copied into the layer unchanged. PATH is a project, a package or a module, and NAME an application or a
    factory in it.
    """
    return call("pour.command", **options)


@cli.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    epilog="Example: decant install --with sam",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def install(**options: Any) -> int:
    """Install everything that the bundle needs into .venv and .decant, or lock the requirements (--lock)."""
    return call("install", **options)
