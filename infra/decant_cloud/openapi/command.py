"""Write the OpenAPI document of the bundle, or check that the written one is up to date."""

import tomllib
from pathlib import Path

from decant_cloud.bundle import bundle
from decant_cloud.errors import CommandError
from decant_cloud.local.endpoints import load_event
from decant_cloud.openapi.document import (
    Function,
    disagreements,
    document,
    importing_from,
    load_app,
    without_collector,
)
from decant_cloud.openapi.validation import validate
from decant_cloud.paths import root
from decant_cloud.scaffold.files import json_text
from decant_cloud.template.model import Template

__all__ = ["FUNCTION", "document_path", "run", "write_document"]

FUNCTION = "api_docs"
"""The function that serves the document."""

_UNDESCRIBED = {FUNCTION, "console"}
"""Functions whose routes serve their own pages."""


def run(*, check: bool = False) -> int:
    """Write the document, or with `check` compare it with the written one; the exit status is 1 after an error."""
    path = document_path(root())
    name = path.relative_to(root())
    if not path.parent.is_dir():
        if not check:
            raise CommandError(f"The bundle has no {name.parent}, which serves the document.")
        return 0
    if not check:
        write_document(root())
        print(f"{name} is written")
    elif not path.is_file() or (written := path.read_text()) != _document(root(), written=written):
        raise CommandError(f"{name} is outdated; run `make openapi`.")
    else:
        print(f"{name} is up to date")
    return 0


def write_document(folder: Path) -> list[Path]:
    """Write the document of the bundle in a folder.

    Returns:
        Its file; none when the bundle has no function that serves it.
    Raises:
        CommandError: the template and the apps have different routes.
    """
    path = document_path(folder)
    if not path.parent.is_dir():
        return []
    path.write_text(_document(folder, written=path.read_text() if path.is_file() else ""))
    return [path]


def document_path(folder: Path) -> Path:
    """The file of the document of the bundle in a folder."""
    return folder / "functions" / FUNCTION / "openapi.json"


@without_collector()
def _document(folder: Path, *, written: str) -> str:
    """The text of the document; it is validated when it differs from the written one, because that takes long."""
    functions = _functions(Template(folder))
    if found := list(disagreements(functions)):
        raise CommandError("\n".join(found))
    described = [function for function in functions if function.name not in _UNDESCRIBED]
    project = tomllib.loads((folder / "pyproject.toml").read_text()).get("project", {})
    made = document(described, title=bundle(folder).name, version=project.get("version", "0"), bundle=folder)
    if (text := json_text(made)) != written:
        validate(made)
    return text


def _functions(template: Template) -> list[Function]:
    functions = []
    for function in template.functions().values():
        # `domain`, in an environment that was not made by `make install`
        with importing_from(template.root / "shared"):
            app = load_app(function.folder) if function.routes else None
        if app is not None:
            routes = frozenset((route.method, route.path) for route in function.routes)
            event = load_event(template.root / f"events/{function.name}.json")
            functions.append(Function(name=function.name, app=app, routes=routes, event=event))
    return functions
