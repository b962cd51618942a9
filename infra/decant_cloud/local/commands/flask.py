"""`flask`: a command of the CLI of a function's application, with the settings and the database of the local cloud."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from decant_cloud.bundle import bundle
from decant_cloud.errors import CommandError
from decant_cloud.local.state import require_running
from decant_cloud.paths import module_of, root

__all__ = ["run"]


def run(*, state: Path, function: str, arguments: Sequence[str]) -> None:
    """Replace this process with `flask`, in the application's folder in `shared/`, else in that of the bundle.

    Raises:
        LocalCloudError: no database runs.
        CommandError: there is no such function.
    """
    module, code = module_of(root() / "functions" / function), root() / "shared" / function
    if not module.is_file():
        raise CommandError(f"There is no function {function}; the folders of functions/ are their names.")
    settings = {"SERVICE": bundle().name, **bundle().environment, **os.environ, "STAGE": "local"}
    settings |= {"DATABASE_URL": require_running(state).database_url}
    settings["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root() / "shared"), os.environ.get("PYTHONPATH")]))
    os.chdir(code if code.is_dir() else root())
    command = [sys.executable, "-m", "flask", "--app", str(module), *arguments]
    os.execve(command[0], command, settings)  # noqa: S606  # our own interpreter, and no shell is wanted
