"""Add a function with a route, and remove a function: folder, event, test, block in the template and import budget."""

import json
import re
import shutil
import tomllib
from pathlib import Path

from decant_cloud.errors import CommandError
from decant_cloud.paths import function_folders, module_of
from decant_cloud.scaffold import function_files, template_text
from decant_cloud.scaffold.files import check_name, json_text, write
from decant_cloud.scaffold.function_files import Needs
from decant_cloud.scaffold.limits import EDGE, without_limit
from decant_cloud.scaffold.open_routes import without_open_routes
from decant_cloud.scaffold.routes import Route
from decant_cloud.scaffold.tasks import startable_task
from decant_cloud.template.model import Template, logical_id

__all__ = ["BUDGETS", "add_function", "remove_function", "with_budget", "without_function"]

BUDGETS = "infra/import_budget.toml"
LAYERS = "shared/layers.toml"
STAGES = "samconfig.toml"
_NAT = re.compile(r'^ +"Nat=one", # for .*$', re.MULTILINE)


def add_function(root: Path, route: Route, name: str | None, needs: Needs) -> list[Path]:
    """Add a function with a route, which passes all checks and its test.

    Args:
        root: Folder of the bundle.
        route: Its route.
        name: Name of its folder; derived from the route when it is None.
        needs: What it uses.

    Returns:
        Every file that was written.

    Raises:
        CommandError: The name or the route is taken or invalid; nothing was written.
    """
    name = name or route.name
    check_name(name)
    if module_of(root / f"functions/{name}").exists():
        raise CommandError(f"functions/{name} exists. Choose another name with --name.")
    template, model = root / "template.yaml", Template(root)
    if logical_id(name) in model.document["Resources"]:
        raise CommandError(f"template.yaml has a resource {logical_id(name)}. Choose another name with --name.")
    route.check_beside(Route(method=each.method.upper(), path=each.path) for each in model.routes())
    task = startable_task(root) if needs.queue else None
    text = template.read_text()
    changed = {
        template: template_text.insert_route(text, function_files.block(name, [route], needs)),
        root / BUDGETS: with_budget((root / BUDGETS).read_text(), name, function_files.import_groups(needs)),
    }
    if needs.internet and (needs.database or needs.queue):
        changed[root / STAGES] = _with_nat((root / STAGES).read_text(), logical_id(name))
    new = {
        root / f"functions/{name}/app.py": function_files.app(name, route, needs, task),
        root / f"events/{name}.json": json_text(function_files.event(route, needs)),
        root / f"tests/functions/test_{name}.py": function_files.test(name, route, needs),
    }
    return write(new, changed)


def remove_function(root: Path, name: str, template: Template | None = None) -> list[Path]:
    """Remove a function: all that `add_function` adds, and the parameters and layers that only it used.

    Args:
        root: Folder of the bundle.
        name: Folder of the function.
        template: A template that contains the function, parsed; that of the bundle by default.

    Returns:
        Every file that was changed or removed; nothing else refers to the function.

    Raises:
        CommandError: There is no function of this name.
    """
    folder = root / f"functions/{name}"
    if not folder.is_dir():
        known = ", ".join(folder.name for folder in function_folders(root / "functions"))
        raise CommandError(f"There is no function {name}. The bundle has {known}.")
    routes, source = (template or Template(root)).function(name).routes, root / "template.yaml"
    changed = {source: without_function(source.read_text(), logical_id(name))}
    budgets = root / BUDGETS
    changed[budgets] = re.sub(rf"^{name} = .*\n", "", budgets.read_text(), flags=re.MULTILINE)
    changed[root / STAGES] = _without_nat((root / STAGES).read_text(), logical_id(name))
    edge = root / EDGE
    for route in routes:
        changed[edge] = without_limit(changed.get(edge) or edge.read_text(), route)
    removed = [folder, root / f"events/{name}.json", *root.glob(f"tests/functions/test_{name}.py")]
    layers = tomllib.loads((root / LAYERS).read_text())
    for layer in (each for each in layers if not template_text.block(changed[source], each)):
        removed += _without_layer(root, layer, Path(layers[layer]["requirements"]).stem, changed)
    changed = {path: text for path, text in changed.items() if text != path.read_text()}
    for path, text in changed.items():
        path.write_text(text)
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return [*changed, *removed]


def _without_layer(root: Path, layer: str, lock: str, changed: dict[Path, str]) -> list[Path]:
    """Take a layer that the template lacks out of the texts of other files; returns the files of its lock."""
    lines = {
        root / LAYERS: rf"\n?^\[{layer}\].*\n([^\[\n].*\n)*",
        root / BUDGETS: rf'^"[\w.]+" = "{layer}"\n',
        root / "pyproject.toml": rf'^{lock} = \[.*\n|^ *{{include-group = "{lock}"}},\n',
    }
    for path, pattern in lines.items():
        changed[path] = re.sub(pattern, "", changed.get(path) or path.read_text(), flags=re.MULTILINE)
    return [path for path in (root / f"shared/{lock}.{ending}" for ending in ("in", "txt")) if path.exists()]


def without_function(text: str, function: str) -> str:
    """The template's text without a function, its resources, and what only it referred to.

    Args:
        text: The template.
        function: Logical id.
    """
    start, end = template_text.section_of(text, "Resources")
    names = re.findall(rf"^  ({function}|{function}(?:Alarms|Permission)):", text[start:end], re.MULTILINE)
    removed = "".join(template_text.block(text, name) for name in names)
    paths = template_text.paths_of(removed)
    text = without_open_routes(text, paths)
    for path in paths:
        escaped = re.escape("/~1" + path.removeprefix("/").replace("/", "~1"))
        limit = re.search(rf"^ +- {{ResourcePath: {escaped}, [^}}]*}}\n", text, re.MULTILINE)
        if limit is not None:
            removed += limit[0]
            text = text.replace(limit[0], "")
    for name in names:
        text = template_text.drop(text, name)
    start, end = template_text.section_of(text, "Outputs")
    for output in re.findall(r"^  (\w+):", text[start:end], re.MULTILINE):
        if re.search(rf"!(Ref|GetAtt) {function}\b", template_text.block(text, output, "Outputs")):
            text = template_text.drop(text, output, "Outputs")
    text = re.sub(rf", !Ref {function}\b|!Ref {function}, ", "", text)
    return template_text.drop_unused(text, removed)


def with_budget(text: str, name: str, groups: list[str] | str) -> str:
    """The text of the import budgets with a line for a function.

    Raises:
        CommandError: The file has no table `[functions]`.
    """
    table = re.search(r"^\[functions\]\n(.+\n)+", text, re.MULTILINE)
    if table is None:
        raise CommandError(f"{BUDGETS} has no table [functions].")
    return f"{text[: table.end()]}{name} = {json.dumps(groups)}\n{text[table.end() :]}"


def _with_nat(text: str, function: str) -> str:
    """The text of `samconfig.toml` with a NAT gateway for a function that uses database and internet.

    Outside of the database's network a function needs none; inside, it has no other way to the internet.
    """
    if _NAT.search(text):
        return _NAT.sub(rf"\g<0>, {function}", text)
    return re.sub(r"^( +)\"Database=aurora\",.*\n", rf'\g<0>\1"Nat=one", # for {function}\n', text, flags=re.MULTILINE)


def _without_nat(text: str, function: str) -> str:
    text = re.sub(rf'^ +"Nat=one", # for {function}\n', "", text, flags=re.MULTILINE)
    return _NAT.sub(lambda line: re.sub(rf", {function}\b|\b{function}, ", "", line[0]), text)
