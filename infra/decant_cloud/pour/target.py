"""The application that `decant pour` is given: its folder, module and requirements."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from decant_cloud.errors import CommandError

__all__ = ["Application", "Settings", "find_application"]

_NAMES = ("app", "application", "create_app", "make_app")
"""Names that Flask looks for, in its order. Source: https://flask.palletsprojects.com/en/stable/cli/"""

_GENERIC = {"api", "app", "application", "main", "run", "server", "src", "web", "wsgi"}
"""Names of modules that do not name the application."""


@dataclass(frozen=True, kw_only=True)
class Application:
    """An application on disk.

    Attributes:
        name: Name of its function and of its folder in the layer.
        folder: Folder from which its modules are imported; it is copied.
        module: Module that has the application, relative to `folder`.
        attribute: Name of the application or its factory, with arguments if it needs some.
        requirements: Its packages, as pip's requirement specifiers.
    """

    name: str
    folder: Path
    module: str
    attribute: str
    requirements: tuple[str, ...]

    @property
    def target(self) -> str:
        """Module and name, as for `flask --app`."""
        return f"{self.module}:{self.attribute}"

    @property
    def file(self) -> str:
        """Name of the function's module, which must not be that of a module of the application."""
        is_taken = (self.folder / "app.py").is_file() or (self.folder / "app").is_dir()
        return "function" if is_taken else "app"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the functions pass to the application.

    Attributes:
        variables: Environment variables that its code reads, without those that the bundle sets.
        database: Variable with the database's address, and its scheme; None for an application without PostgreSQL.
        values: Values of variables in the local cloud.
    """

    variables: Sequence[str]
    database: tuple[str, str] | None
    values: Mapping[str, str]


def find_application(text: str, name: str | None, requirements: Path | None) -> Application:
    """Find an application by a path and the name of an application or factory.

    Args:
        text: `../microblog:create_app`: a project, a package or a module; without a name, one of Flask's usual names.
        name: Name of the function; derived from the path when it is None.
        requirements: File with its requirements; `requirements.txt` or `pyproject.toml` of the project by default.
    Raises:
        CommandError: There is no such application, or there are several.
    """
    given, _, attribute = text.partition(":")
    path = Path(given).resolve()
    if not path.exists():
        raise CommandError(f"There is no file or folder {given}. Write it as ../microblog:create_app.")
    folder, modules = _candidates(path)
    wanted = {re.split(r"[(.]", each)[0]: each for each in ([attribute] if attribute else _NAMES)}
    found = [(module, wanted[each]) for module, file in modules for each in wanted if each in _defined(file)]
    if not found:
        raise CommandError(
            f"No module in {given} defines {' or '.join(wanted)}. Name the module's file: ../shop/web.py:create_app."
        )
    if len({module for module, _ in found}) > 1 and path.is_dir():
        listed = ", ".join(f"{module}:{each}" for module, each in found)
        raise CommandError(f"{given} has several of them: {listed}. Name the module's file, as ../shop/web.py:app.")
    module, attribute = found[0]
    project = path.parent if path.is_file() else path
    name = name or _name(module.split(".")[0], folder if folder.name != "src" else folder.parent)
    if name in {"decant", "domain"} or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise CommandError(f"{name!r} cannot be the name of a function. Choose one with --name, as shop.")
    projects = list(dict.fromkeys([project, folder, *([folder.parent] if path != folder else [])]))
    files = [requirements] if requirements else [each / "requirements.txt" for each in projects]
    return Application(
        name=name,
        folder=folder,
        module=module,
        attribute=attribute,
        requirements=tuple(_requirements(files, projects)),
    )


def _candidates(path: Path) -> tuple[Path, list[tuple[str, Path]]]:
    """Folder for `sys.path`, and modules in which the application may be defined."""
    if path.is_file() or (path / "__init__.py").is_file():
        folder = path.parent
        while (folder / "__init__.py").is_file():
            folder = folder.parent
        file = path if path.is_file() else path / "__init__.py"
        dotted = ".".join(path.with_suffix("").relative_to(folder).parts).removesuffix(".__init__")
        return folder, [(dotted, file)]
    folder = path / "src" if (path / "src").is_dir() else path
    modules = [(file.stem, file) for file in sorted(folder.glob("*.py")) if not file.name.startswith(("test", "conf"))]
    modules += [(file.parent.name, file) for file in sorted(folder.glob("[!.t]*/__init__.py"))]
    return folder, modules


def _defined(file: Path) -> set[str]:
    """Names that a module defines at its top level; imported ones do not count."""
    try:
        body = ast.parse(file.read_text(), str(file)).body
    except (SyntaxError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read as Python: {error}") from error
    found = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    for node in body:
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def _name(package: str, folder: Path) -> str:
    text = folder.name if package in _GENERIC else package
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _requirements(files: list[Path], projects: list[Path]) -> Iterator[str]:
    for file in files:
        if file.is_file():
            yield from dict.fromkeys(_lines(file))
            return
    for project in (folder / "pyproject.toml" for folder in projects):
        if project.is_file():
            yield from tomllib.loads(project.read_text()).get("project", {}).get("dependencies", [])
            return


def _lines(file: Path) -> Iterator[str]:
    """The specifiers of a requirements file and of those that it includes, without hashes."""
    for line in file.read_text().replace("\\\n", " ").splitlines():
        text = re.sub(r"(^|\s)#.*|\s--hash=\S+", "", line).strip()
        if included := re.match(r"(?:-r|--requirement)[ =]*(\S+)", text):
            yield from _lines(file.parent / included[1])
        elif text and not text.startswith("-"):
            yield text
