"""Change `template.yaml` as text, so that its comments and its order stay.

A block is an entry of a section, such as a resource or a parameter: a line with two spaces before its name, and the
lines below it that are indented further.
"""

import re

from decant_cloud.errors import CommandError
from decant_cloud.scaffold.open_routes import ANY, without_open_routes

__all__ = [
    "block",
    "drop",
    "drop_unused",
    "insert_after",
    "insert_route",
    "paths_of",
    "rename",
    "section_of",
    "with_schema",
]

_END = re.compile(r"^(  )?\S", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_EMPTY_GROUP = re.compile(r"^  # \w+\n(?=\n)", re.MULTILINE)
"""A comment before parameters, such as `# app`, without parameters after it."""


def block(text: str, name: str, section: str = "Resources") -> str:
    """The text of a block, with the blank lines after it; empty when there is none of this name."""
    start, end = section_of(text, section)
    found = re.compile(rf"^  {re.escape(name)}:", re.MULTILINE).search(text, start, end)
    if found is None:
        return ""
    following = _END.search(text, found.end())
    return text[found.start() : following.start() if following else len(text)]


def section_of(text: str, name: str) -> tuple[int, int]:
    """Where a section of the template starts and ends; an empty range when it has none of this name."""
    found = re.search(rf"^{name}:.*\n", text, re.MULTILINE)
    if found is None:
        return len(text), len(text)
    following = re.compile(r"^\w", re.MULTILINE).search(text, found.end())
    return found.end(), following.start() if following else len(text)


def drop(text: str, name: str, section: str = "Resources") -> str:
    """The text without a block."""
    found = block(text, name, section)
    if not found:
        return text
    text = text.replace(found, "\n" if found.endswith("\n\n") else "", 1)
    return _BLANK_LINES.sub("\n\n", _EMPTY_GROUP.sub("", text))


def insert_after(text: str, name: str, new: str) -> str:
    """The text with a new resource after another one.

    Args:
        text: The template.
        name: Logical id of a resource.
        new: Block of the new one, without blank lines around it.
    Raises:
        CommandError: The template has no such resource.
    """
    found = block(text, name)
    if not found:
        raise CommandError(f"template.yaml has no resource {name}.")
    return text.replace(found, f"{found.rstrip()}\n\n{new.rstrip()}\n\n", 1)


def insert_route(text: str, new: str) -> str:
    """The text with a new function after the last one with a route, else where the routes begin.

    A function with the method ANY takes the definition of open routes out, with which SAM does not merge it.

    Raises:
        CommandError: The template has no API.
    """
    if ANY in new:
        text = without_open_routes(text)
    start, end = section_of(text, "Resources")
    names = [str(name) for name in re.findall(r"^  (\w+):", text[start:end], re.MULTILINE)]
    routes = [name for name in names if re.search(r"\bType: Api\b", block(text, name))]
    heading = re.search(r"^  # -+ routes\n\n", text, re.MULTILINE)
    if not routes and heading is not None:
        return f"{text[: heading.end()]}{new.rstrip()}\n\n{text[heading.end() :]}"
    return insert_after(text, routes[-1] if routes else "Api", new)


def paths_of(blocks: str) -> list[str]:
    """Paths of the routes in blocks of functions."""
    return [quoted or plain for quoted, plain in re.findall(r'\bPath: (?:"([^"]+)"|([^\s",}]+))', blocks)]


def drop_unused(text: str, removed: str) -> str:
    """The text without the parameters and layers to which only the removed text referred."""
    for first, second in dict.fromkeys(re.findall(r"!Ref (\w+)|\${(\w+)}", removed)):
        name = first or second
        if re.search(rf"!Ref {name}\b|\${{{name}}}", text):
            continue
        text = drop(text, name, "Parameters")
        if "Type: AWS::Serverless::LayerVersion" in block(text, name):
            text = drop(text, name)
    return text


def rename(text: str, old: str, new: str) -> str:
    """The text with a word, and the names that start with it, replaced: `SlowQueue` and `SlowWorkerAlarms`."""
    return re.sub(rf"\b{old}(?=[A-Z]|\b)", new, text)


def with_schema(text: str, schema: str) -> str:
    """The template's text with the newest migrations in the property `Schema` of `Migration`."""
    value = f'"{schema}"' if schema.isdigit() else schema
    return re.sub(r"^( +Schema:) [^#\n]*?( #.*)?$", rf"\1 {value}\2", text, count=1, flags=re.MULTILINE)
