"""The bundle that a command works on: the folder of `template.yaml`.

It is named by the variable DECANT_BUNDLE, or found in the current folder or above.
"""

import functools
import os
from pathlib import Path

from decant_cloud.errors import CommandError

__all__ = ["function_folders", "module_of", "root", "state"]


@functools.cache
def root() -> Path:
    """Return the bundle's folder.

    Raises:
        CommandError: Neither the current folder nor one above it contains a `template.yaml`.
    """
    if named := os.environ.get("DECANT_BUNDLE"):
        folders = [Path(named).resolve()]
    else:
        here = Path.cwd()
        folders = [here, *here.parents]
    for folder in folders:
        if (folder / "template.yaml").is_file():
            return folder
    message = f"{folders[0]} is not in a bundle: it contains no template.yaml, nor does a folder above it."
    raise CommandError(f"{message} Change to the bundle's folder, or name it with DECANT_BUNDLE.")


def state() -> Path:
    """Return the folder of the local cloud's data, logs and lock files."""
    return root() / ".decant/local"


def module_of(folder: Path) -> Path:
    """Return the file of a function's module: `app.py`, or `function.py` where an application has a module `app`."""
    module = folder / "function.py"
    return module if module.is_file() else folder / "app.py"


def function_folders(functions: Path) -> list[Path]:
    """Return the folders of functions with a module, by name."""
    return sorted(folder for folder in functions.glob("*") if module_of(folder).is_file())
