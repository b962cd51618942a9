"""The README's table of settings, written from the settings themselves."""

import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

from decant._aws import AwsSettings
from decant.auth import AuthSettings
from decant.db import DatabaseSettings
from decant.http import HttpSettings
from decant.metrics import MetricsSettings
from decant.observability import LogSettings
from decant.tasks.options import TaskSettings
from decant.web.defaults import WebSettings
from decant_cloud.paths import root
from domain.config import FetchSettings

__all__ = ["GROUPS", "in_readme", "table"]

GROUPS = (
    LogSettings,
    MetricsSettings,
    AwsSettings,
    WebSettings,
    DatabaseSettings,
    HttpSettings,
    TaskSettings,
    AuthSettings,
    FetchSettings,
)
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
    for group in GROUPS:
        for each in fields(group):
            yield f"| `{each.metadata['variable']}` | {each.metadata['about']} | {_default(each)} |"


def _default(of: Field[Any]) -> str:
    match of.default:
        case _ if of.default is MISSING:
            return "required"
        case float():
            return f"`{of.default:g}`"
        case default:
            return f"`{default}`" if default else "none"
