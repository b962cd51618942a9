"""Bodies of `decant new` and `decant remove`: write the files and print their names."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from decant_cloud import paths
from decant_cloud.errors import CommandError
from decant_cloud.local.terminal import output
from decant_cloud.openapi.command import write_document
from decant_cloud.scaffold import bundle
from decant_cloud.scaffold.function_files import Needs
from decant_cloud.scaffold.functions import add_function, remove_function
from decant_cloud.scaffold.limits import write_limits
from decant_cloud.scaffold.queues import add_queue
from decant_cloud.scaffold.routes import Route
from decant_cloud.scaffold.tasks import add_task

__all__ = ["default_wheels", "run"]


def run(*, kind: str, **options: Any) -> None:
    """Write the files of a new part, or remove a part, and name the files.

    Args:
        kind: A key of `_KINDS`, or `bundle`.
        options: Those of the command.
    Raises:
        CommandError: A name is taken or invalid; nothing was written.
    """
    if kind == "bundle":
        _make_bundle(**options)
        return
    root = paths.root()
    changed = _KINDS[kind](root, **options)
    if kind in {"admin", "function", "removal"}:
        changed += write_document(root)
    for path in changed:
        mark = "[green]✓[/]" if path.exists() else "[red]✗[/]"
        output().print(f"{mark} {path.relative_to(root)}", highlight=False, soft_wrap=True)


def _make_bundle(folder: Path, wheels: Path | None, *, demo: bool) -> None:
    folder = folder.absolute()
    bundle.make(folder, bundle.wheels_in(wheels or default_wheels()), is_demo=demo)
    output().print(f"[green]✓[/] {folder}\n\n  cd {folder}\n  make up\n", highlight=False, soft_wrap=True)


def default_wheels() -> Path:
    """Folder of wheels: of the bundle that `decant` runs in, else of this repository."""
    environment = Path(sys.prefix).parent
    for folder in (environment / "shared/wheels", environment / "dist"):
        if any(folder.glob("decant_cloud-*.whl")):
            return folder
    raise CommandError("Name the folder of the wheels decant_flask and decant_cloud with --wheels.")


def _function(root: Path, route: str, name: str | None, **needs: Any) -> list[Path]:
    return add_function(root, Route.parse(route), name, Needs(**needs))


def _migration(root: Path, title: str, *, is_empty: bool) -> list[Path]:
    from decant_cloud.scaffold.migrations import add_migration  # noqa: PLC0415  # Alembic takes half a second

    return add_migration(root, title, is_empty=is_empty)


_KINDS: Mapping[str, Callable[..., list[Path]]] = {
    "admin": bundle.add_admin,
    "function": _function,
    "limits": write_limits,
    "migration": _migration,
    "queue": add_queue,
    "removal": remove_function,
    "schedule": add_task,
    "task": add_task,
}
