"""The lock files and the environment of an application in a bundle, and its description by a process there."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from decant_cloud import install
from decant_cloud.errors import CommandError
from decant_cloud.local.postgres import temporary_postgres
from decant_cloud.pour.target import Application, Settings
from decant_cloud.pour.write import add_requirements

__all__ = ["Description", "Environment", "given_settings", "unpinned"]

_TIMEOUT_S = 120


class Description(dict[str, Any]):
    """The JSON that `inspection` writes."""


@dataclass(frozen=True)
class Environment:
    """Where an application is imported.

    Attributes:
        bundle: Folder of the bundle, whose lock files get the application's requirements.
        python: Interpreter or virtual environment with its packages; None for one that is made from the lock file.
        commands: Commands of its CLI to run; None for a usual one that creates tables.
    """

    bundle: Path
    python: Path | None
    commands: Sequence[str] | None

    def describe(
        self, application: Application, code: Path, settings: Settings, *, is_sqlite: bool
    ) -> tuple[Description, list[str]]:
        """Add the requirements to the layer, and import the application in a process of its own.

        The layer has its own version of the packages that Decant pins. When the other versions cannot be installed or
        imported with them, they are removed, too.

        Args:
            application: The application.
            code: Its folder in the bundle.
            settings: Its settings.
            is_sqlite: Whether commands that create tables are needed.
        Returns:
            The description, and the requirements whose versions were removed.
        Raises:
            CommandError: The import fails; the message has the traceback and the missing module or variable.
        """
        requirements = [*application.requirements]
        if settings.database and settings.database[1].endswith("+psycopg"):
            requirements += ["psycopg", "psycopg-binary"]
        locked = (self.bundle / "shared/requirements.txt").read_text()
        sources = [*self.bundle.glob("shared/*.in"), *self.bundle.glob("*/*.txt"), self.bundle / "pyproject.toml"]
        before = {path: path.read_text() for path in sources}
        error: CommandError | None = None
        for everything in (False, True):
            for path, text in before.items():
                path.write_text(text)
            wanted, changed = unpinned(requirements, locked, everything=everything)
            if everything and wanted == unpinned(requirements, locked, everything=False)[0]:
                break
            add_requirements(application, wanted, self.bundle)
            try:
                self._lock(wanted, locked)
                with self._interpreter() as python:
                    return self._import(application, code, python, settings, is_sqlite=is_sqlite), changed
            except CommandError as failed:
                error = error or failed
        raise error or CommandError("The requirements cannot be installed.")

    def _lock(self, wanted: Iterable[str], locked: str) -> None:
        if _pins(locked).issuperset(wanted):  # names without a version, which the layer has
            return
        for name in ("shared/requirements", "requirements/bundle", "requirements/dev"):
            if not install.sources_of(name, self.bundle):
                continue
            failed = install.compile_lock(install.find_uv(), name, self.bundle, upgrade=False)
            if failed is not None:
                raise CommandError(f"The requirements cannot be locked:\n{failed}")

    @contextmanager
    def _interpreter(self) -> Iterator[Path]:
        if self.python is not None:
            yield self.python / "bin/python" if self.python.is_dir() else self.python
            return
        uv = install.find_uv()
        with tempfile.TemporaryDirectory(prefix="decant-pour-") as folder:
            failed = install.sync(uv, install.find_python(uv), Path(folder), self.bundle / "shared/requirements.txt")
            if failed is not None:
                raise CommandError(f"The requirements cannot be installed:\n{failed}")
            yield Path(folder) / "bin/python"

    def _import(
        self, application: Application, code: Path, python: Path, settings: Settings, *, is_sqlite: bool
    ) -> Description:
        plain = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="decant-pour-"))
            own = shutil.copytree(code, Path(scratch) / "code")  # what the import writes is not poured
            if settings.database:  # some applications connect when they are imported
                variable, scheme = settings.database
                server = stack.enter_context(temporary_postgres())
                plain[variable] = server.url().replace("postgresql+asyncpg", scheme)
            output, temporary = Path(scratch) / "description.json", Path(scratch) / "tmp"
            temporary.mkdir()
            given = {"folder": str(own), "target": application.target, "output": str(output)}
            given |= {"commands": self.commands, "is_sqlite": is_sqlite}  # type: ignore[dict-item]
            command = [str(python), str(Path(__file__).with_name("inspection.py")), json.dumps(given)]
            environment = {**settings.values, **plain, "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
            try:
                finished = subprocess.run(
                    command, cwd=own, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise CommandError(f"The import of {application.target} took longer than {_TIMEOUT_S} s.") from error
            if not output.is_file():
                raise CommandError(f"{python} could not import {application.target}:\n{finished.stderr.strip()}")
            found = Description(json.loads(output.read_text()))
        if "error" in found:
            raise CommandError(_failure(application, found).replace(str(own), str(application.folder)))
        return found


def unpinned(requirements: Iterable[str], locked: str, *, everything: bool) -> tuple[list[str], list[str]]:
    """Requirements that the layer can have: packages that Decant pins itself have no version.

    Args:
        requirements: Of the application.
        locked: Text of the layer's lock file.
        everything: Remove all versions.
    Returns:
        The requirements, and those of them whose version was removed.
    """
    pins = _pins(locked)
    kept, changed = [], []
    for each in requirements:
        found = re.match(r"\s*([\w.-]+)\s*(\[[^]]*\])?\s*([^;]*)(;.*)?", each)
        name = re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
        if found and found[3].strip() and (everything or name in pins):
            kept.append(f"{name}{found[2] or ''}{found[4] or ''}".strip())
            changed.append(each)
        else:
            kept.append(each)
    return kept, changed


def given_settings(application: Application) -> dict[str, str]:
    """Variables of the application's `.flaskenv` and `.env`."""
    folders = dict.fromkeys([application.folder.parent, application.folder])
    files = [folder / name for folder in folders for name in (".flaskenv", ".env")]
    found = [dotenv_values(file).items() for file in files if file.is_file()]
    return {name: value for each in found for name, value in each if value}


def _pins(locked: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE))


def _failure(application: Application, found: Mapping[str, Any]) -> str:
    kind, _, name = found["missing"].partition(" ")
    advice = {
        "module": f"Add the package of {name} to its requirements, or pass an interpreter that has it with --python.",
        "variable": f"Set {name} in the environment or in the application's .env.",
    }.get(kind, "")
    if "NoAppException" in found["error"]:
        advice = (
            f"If the factory needs arguments, pass literals: '{application.module}:{application.attribute}(\"dev\")'."
        )
    return f"{application.target} cannot be imported.\n{found['traceback'].strip()}\n{advice}".strip()
