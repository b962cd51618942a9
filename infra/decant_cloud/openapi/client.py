"""Generate a typed Python client of the API from its OpenAPI document, with openapi-python-client."""

import os
import subprocess
from pathlib import Path

from decant_cloud.errors import CommandError
from decant_cloud.openapi.command import document_path
from decant_cloud.paths import root

__all__ = ["run"]

ENVIRONMENT = ".decant/client"
"""Environment of the generator; `make client` installs it."""


def run(folder: Path) -> int:
    """Write the client's project into a folder, in place of an older one.

    Args:
        folder: Folder of the project, which contains `pyproject.toml` and the package.
    Returns:
        The generator's exit status.
    Raises:
        CommandError: there is no document, or the generator is not installed.
    """
    document = document_path(root())
    if not document.is_file():
        raise CommandError(f"There is no {document.relative_to(root())}; run `decant new docs`, then `decant openapi`.")
    programs = root() / ENVIRONMENT / "bin"
    generator = programs / "openapi-python-client"
    if not generator.is_file():
        raise CommandError("The generator is not installed; run `make client`.")
    command: list[str | Path] = [
        generator,
        "generate",
        "--path",
        document,
        "--meta",
        "uv",
        "--overwrite",
        "--output-path",
        folder,
    ]
    with_ruff = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run(command, env=with_ruff, check=False).returncode
