"""Checks that `template.yaml`, `functions/` and `events/` name the same functions.

A folder's name is the function's: `users_create` is the logical id `UsersCreate` and the event `users_create.json`.
"""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from decant_cloud.bundle import bundle
from decant_cloud.paths import function_folders, root
from decant_cloud.template.model import Template, load_template, logical_id

__all__ = ["disagreements", "load_template", "logical_id", "misnamed"]


def run() -> int:
    """Print each disagreement; the exit status is 1 when there is one."""
    found = [*disagreements(root()), *misnamed(root())]
    for each in found:
        print(f"error: {each}", file=sys.stderr)
    if not found:
        print("template.yaml, functions/, events/ and names agree")
    return 1 if found else 0


def disagreements(root: Path) -> list[str]:
    """What does not agree below a folder that holds template.yaml, functions/ and events/; a line each."""
    functions = Template(root).functions()
    folders = function_folders(root / "functions")
    known = {logical_id(folder.name): folder.name for folder in folders}
    found = [f"functions/{known[name]} has no {name} in template.yaml" for name in known.keys() - functions.keys()]
    found += [f"template.yaml's {name} has no folder in functions/" for name in functions.keys() - known.keys()]
    for name in sorted(known.keys() & functions.keys()):
        if functions[name].folder != root / "functions" / known[name]:
            found.append(f"template.yaml's {name} must have the CodeUri functions/{known[name]}/")
    events = {path.stem for path in root.glob("events/*.json")}
    found += [f"functions/{name} has no events/{name}.json" for name in set(known.values()) - events]
    found += [f"events/{name}.json belongs to no function" for name in events - set(known.values())]
    return sorted(found + [line for path in root.glob("events/*.json") for line in _malformed(path)])


def missing_code(template: Template) -> Iterator[str]:
    """Functions whose folder or module does not exist."""
    for name, function in template.functions().items():
        module = str(function.properties.get("Handler", template.handler)).partition(".")[0]
        if not function.folder.is_dir():
            yield f"{name}'s CodeUri {function.properties['CodeUri']} is not a folder"
        elif not (function.folder / f"{module}.py").is_file() and not (function.folder / module).is_dir():
            yield f"{name}'s Handler names {module}.py, which {function.properties['CodeUri']} does not contain"


def misnamed(root: Path) -> Iterator[str]:
    """Names of stacks in samconfig.toml, and defaults of parameters `Name`, that differ from the bundle's name."""
    configured = bundle(root)
    for stage, commands in tomllib.loads((root / "samconfig.toml").read_text()).items():
        stack = commands.get("global", {}).get("parameters", {}).get("stack_name") if stage != "version" else None
        # The stack of `sam deploy --config-env local` stands beside that of `decant up`.
        expected = f"{configured.name}-built" if stage == "local" else configured.stack(stage)
        if stack not in {None, expected}:
            yield f"samconfig.toml's stack_name of {stage} must be {expected}, for the name in pyproject.toml"
    for path in ("template.yaml", "infra/pipeline.yaml"):
        declared = load_template(root / path).get("Parameters", {}) if (root / path).exists() else {}
        if declared.get("Name", {}).get("Default", configured.name) != configured.name:
            yield f"{path}'s parameter Name must have the Default {configured.name}, the name in pyproject.toml"


def _malformed(path: Path) -> list[str]:
    try:
        json.loads(path.read_text())
    except ValueError as error:
        return [f"events/{path.name} is no JSON: {error}"]
    return []
