"""The README's table of settings, written from the settings themselves."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

import decant
import domain
from decant.config import groups
from decant_cloud.paths import root

__all__ = ["in_readme", "table"]

_TABLE = re.compile(r"^\| variable \|.*?(?=\n\n)", flags=re.MULTILINE | re.DOTALL)


def run() -> int:
    """Write the table into the README; the exit status is 1 when it has no place for it."""
    readme = root() / "README.md"
    text = readme.read_text()
    if _TABLE.search(text) is None:
        print("error: README.md has no table that begins with `| variable |`", file=sys.stderr)
        return 1
    readme.write_text(_TABLE.sub(lambda _: table(), text))
    return 0


def table() -> str:
    """The table, in Markdown."""
    return "\n".join(("| variable | what it does | default |", "|---|---|---|", *_rows()))


def in_readme() -> str:
    """The table that the README has now."""
    found = _TABLE.search((root() / "README.md").read_text())
    return found.group() if found else ""


def _rows() -> Iterator[str]:
    for package in (decant, domain):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" not in module.name:
                importlib.import_module(module.name)
    seen = set()
    for name in ("decant", "domain"):
        own = (group for group in groups() if group.__module__.partition(".")[0] == name)
        for group in sorted(own, key=lambda group: group.__module__):
            for each in fields(group):
                if each.metadata["about"] != "Set by Lambda" and each.metadata["variable"] not in seen:
                    seen.add(each.metadata["variable"])
                    yield f"| `{each.metadata['variable']}` | {each.metadata['about']} | {_default(each)} |"


def _default(of: Field[Any]) -> str:
    match of.default:
        case _ if of.default is MISSING:
            return "required"
        case float():
            return f"`{of.default:g}`"
        case default:
            return f"`{default}`" if default else "none"
