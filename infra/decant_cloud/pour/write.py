"""Write an application and its functions into a bundle: code, template, events, tests, requirements and settings."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from decant_cloud.errors import CommandError
from decant_cloud.findings import SKIPPED
from decant_cloud.paths import module_of
from decant_cloud.pour.target import Application, Settings
from decant_cloud.scaffold import function_files, template_text
from decant_cloud.scaffold.files import json_text, write
from decant_cloud.scaffold.function_files import Needs
from decant_cloud.scaffold.functions import BUDGETS, with_budget
from decant_cloud.scaffold.routes import Route
from decant_cloud.template.model import Template, logical_id

__all__ = ["add_functions", "add_requirements", "copy_code"]

_LEFT_OUT = ("__pycache__", "*.py[co]", ".*", "*.sqlite*", "*.db", "instance", "node_modules", "test", "tests", "venv")

_KEPT = {".gitkeep", ".keep"}
"""Files of folders that an application writes to, and that a layer would not contain when they were empty."""


def copy_code(application: Application, bundle: Path) -> Path:
    """Copy the application into the layer; returns its folder.

    Raises:
        CommandError: The name is taken, or the bundle is inside of the application's folder or the reverse.
    """
    folder = bundle / "shared" / application.name
    functions = [path.name for path in bundle.glob(f"functions/{application.name}*") if module_of(path).is_file()]
    if folder.exists() or application.name in functions:
        where = folder.relative_to(bundle) if folder.exists() else f"functions/{application.name}"
        raise CommandError(f"{where} exists. Choose another name with --name.")
    left_out = shutil.ignore_patterns(*_LEFT_OUT, *SKIPPED)
    shutil.copytree(application.folder, folder, ignore=lambda *found: left_out(*found) - _KEPT)
    layers = bundle / "shared/layers.toml"
    text, count = re.subn(
        r"(?s)(\[SharedLayer\].*?packages = \[[^]]*)\]", rf'\1, "{application.name}"]', layers.read_text(), count=1
    )
    if not count:
        raise CommandError("shared/layers.toml has no table [SharedLayer] with packages.")
    layers.write_text(text)
    return folder


def add_requirements(application: Application, requirements: Sequence[str], bundle: Path) -> None:
    """Add the application's requirements to the sources of the layer's lock file; uv compiles it."""
    sources, project = bundle / "shared/requirements.in", bundle / "pyproject.toml"
    text = re.sub(
        r"(?m)^\[tool\.ruff\]\n", rf'\g<0>extend-exclude = ["shared/{application.name}"]\n', project.read_text()
    )
    if 'extend-exclude = ["' in project.read_text():
        text = project.read_text().replace("extend-exclude = [", f'extend-exclude = ["shared/{application.name}", ')
    if sources.is_file():
        (bundle / f"shared/{application.name}.in").write_text("\n".join(requirements) + "\n")
        sources.write_text(f"{sources.read_text()}-r {application.name}.in\n")
    else:
        group = (
            f"{application.name} = {json.dumps(list(requirements))}  # of the application in shared/{application.name}"
        )
        include = f'{{include-group = "{application.name}"}}'
        text, count = re.subn(r"(?ms)^(shared = \[)(.*?\].*?)$", rf"\g<1>{include}, \g<2>\n{group}", text, count=1)
        if not count:
            raise CommandError("pyproject.toml has no dependency group `shared`.")
    project.write_text(text)


def add_functions(
    application: Application,
    routes: Mapping[str, Sequence[Route]],
    found: Mapping[str, Any],
    settings: Settings,
    bundle: Path,
) -> list[Path]:
    """Write the functions of an application, each with its block, event, test and import budget.

    Raises:
        CommandError: A function or a route exists; nothing was written.
    """
    template, model = bundle / "template.yaml", Template(bundle)
    text, budgets = template.read_text(), (bundle / BUDGETS).read_text()
    others = [Route(method=each.method.upper(), path=each.path) for each in model.routes()]
    new: dict[Path, str] = {}
    needs = Needs(database=settings.database is not None)
    for name, own in routes.items():
        if module_of(bundle / f"functions/{name}").exists() or logical_id(name) in model.document["Resources"]:
            raise CommandError(f"functions/{name} exists. Choose another name with --name.")
        for route in own:
            route.check_beside(others)
        description = f"{own[0]} is the application {application.target}."
        text = template_text.insert_route(text, function_files.block(name, own, needs, description, application.file))
        budgets = with_budget(budgets, name, "any")
        new[bundle / f"functions/{name}/{application.file}.py"] = _module(application, own, found, settings)
        path = next((path for path in found["examples"] if _serves(own, path)), None)
        example = Route(method="GET", path=path) if path else own[0]
        new[bundle / f"events/{name}.json"] = json_text(function_files.event(example, Needs()))
        if path:
            test = _test(name, found["examples"][path], settings)
            new[bundle / f"tests/functions/test_{name}.py"] = test
    local = bundle / ".env"
    lines = "".join(f"{name}={value}\n" for name, value in settings.values.items())
    changed = {template: _with_variables(text, settings), bundle / BUDGETS: budgets}
    if lines:
        changed[local] = (local.read_text() if local.is_file() else "") + lines
    return write(new, changed)


def _serves(routes: Sequence[Route], path: str) -> bool:
    """Whether a path without variables belongs to one of the routes; the greedy ones belong to the others, too."""
    return any(route.path in {path, path.rstrip("/")} for route in routes) or (
        len(routes) > 1
        and any(route.path.endswith("+}") and path.startswith(route.path.rpartition("{")[0]) for route in routes)
    )


def _module(application: Application, routes: Sequence[Route], found: Mapping[str, Any], settings: Settings) -> str:
    arguments = [f'"{application.name}"', json.dumps(application.target)]
    if settings.database:
        arguments.append(f'database=("{settings.database[0]}", "{settings.database[1]}")')
    if found["setup"]:
        arguments.append(f"commands={json.dumps(found['setup'])}")
    if found["is_written"]:
        arguments.append("writable=True")
    return "\n".join(
        [
            f'"""{routes[0]}: the application {application.target}, unchanged."""',
            "",
            "from decant.web import lambda_handler",
            "from decant.web.existing import existing_app",
            "",
            f"app = existing_app({', '.join(arguments)})",
            "handler = lambda_handler(app)",
            "",
        ]
    )


def _test(name: str, status: int, settings: Settings) -> str:
    used = '@pytest.mark.usefixtures("database_url")\n' if settings.database else ""
    values = {name: value for name, value in settings.values.items() if name in settings.variables}
    given = "".join(
        f'    monkeypatch.setenv("{name}", {json.dumps(value)})\n'
        for name, value in values.items()
        if name != "SECRET_KEY"
    )
    parameters = ", monkeypatch: pytest.MonkeyPatch" if given else ""
    return f'''"""An existing application through its handler."""

import pytest
from decant_cloud.invocation import Call, ReadEvent

pytestmark = pytest.mark.filterwarnings("default")  # of the application and its packages


{used}def test_{name}_responds(call: Call, event: ReadEvent{parameters}) -> None:
    """The event in `events/` gets the status of the application's own server."""
{given}    response = call("{name}", event("{name}"))

    assert response.status == {status}, response.text
'''


def _with_variables(text: str, settings: Settings) -> str:
    """The template with a parameter for each variable; one that is empty is not set."""
    for variable in settings.variables:
        name = "".join(part.capitalize() for part in variable.split("_"))
        hidden = " NoEcho: true," if re.search("KEY|SECRET|PASSWORD|TOKEN|URL|URI|DSN", variable) else ""
        about = f'    Description: "{variable} of the application; empty to leave it unset."}}'
        text = _after(text, "Parameters", f'  {name}: {{Type: String, Default: "",{hidden}\n{about}\n')
        text = _after(text, "Conditions", f'  Has{name}: !Not [!Equals [!Ref {name}, ""]]\n')
        value = f"        {variable}: !If [Has{name}, !Ref {name}, !Ref AWS::NoValue]\n"
        text = re.sub(r"(?m)^(    Environment:\n      Variables:\n)", rf"\g<1>{value}", text, count=1)
    return text


def _after(text: str, section: str, lines: str) -> str:
    """The template with lines at the beginning of a section."""
    start, _ = template_text.section_of(text, section)
    return text[:start] + lines + text[start:]
