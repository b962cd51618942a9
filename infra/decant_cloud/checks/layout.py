"""Checks that `template.yaml`, `functions/` and `events/` name the same functions.

A folder's name is the function's: `users_create` is the logical id `UsersCreate` and the event `users_create.json`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from decant_cloud.paths import root

__all__ = ["disagreements", "load_template", "logical_id"]


def run() -> int:
    """Print each disagreement; the exit status is 1 when there is one."""
    found = disagreements(root())
    for each in found:
        print(f"error: {each}", file=sys.stderr)
    if not found:
        print("template.yaml, functions/ and events/ agree")
    return 1 if found else 0


def disagreements(root: Path) -> list[str]:
    """What does not agree below a folder that holds template.yaml, functions/ and events/; a line each."""
    template = load_template(root / "template.yaml")
    functions = {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    folders = sorted(path.parent for path in root.glob("functions/*/app.py"))
    known = {logical_id(folder.name): folder.name for folder in folders}
    found = [f"functions/{known[name]} has no {name} in template.yaml" for name in known.keys() - functions.keys()]
    found += [f"template.yaml's {name} has no folder in functions/" for name in functions.keys() - known.keys()]
    for name in sorted(known.keys() & functions.keys()):
        if functions[name].get("CodeUri", "").strip("/") != f"functions/{known[name]}":
            found.append(f"template.yaml's {name} must have the CodeUri functions/{known[name]}/")
    events = {path.stem for path in root.glob("events/*.json")}
    found += [f"functions/{name} has no events/{name}.json" for name in set(known.values()) - events]
    found += [f"events/{name}.json belongs to no function" for name in events - set(known.values())]
    return sorted(found + [line for path in root.glob("events/*.json") for line in _malformed(path)])


def logical_id(folder: str) -> str:
    """The function's name in the template: `users_create` → `UsersCreate`."""
    return "".join(part.capitalize() for part in folder.split("_"))


def load_template(path: Path) -> dict[str, Any]:
    """Read a CloudFormation template; `!Sub x` becomes `{"Fn::Sub": "x"}`."""
    template: dict[str, Any] = yaml.load(path.read_text(), Loader=_TemplateLoader)  # noqa: S506  # a SafeLoader
    return template


class _TemplateLoader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms."""


def _short_form(loader: yaml.CSafeLoader, tag: str, node: yaml.Node) -> Mapping[str, Any]:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # the only kind left
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_TemplateLoader.add_multi_constructor("!", _short_form)


def _malformed(path: Path) -> list[str]:
    try:
        json.loads(path.read_text())
    except ValueError as error:
        return [f"events/{path.name} is no JSON: {error}"]
    return []
