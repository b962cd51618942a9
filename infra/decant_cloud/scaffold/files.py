"""What is new in the bundle: its name, and its files."""

import json
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decant_cloud.errors import CommandError

__all__ = ["check_name", "json_text", "write"]

_LINE_LENGTH = 120

_TAKEN = {"app", "handler", "lambda_handler"}
"""What a function's module has beside the view."""


def check_name(name: str) -> None:
    """See that functions and tasks can have a name.

    Raises:
        CommandError: they cannot.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name) or name in _TAKEN:
        raise CommandError(f"{name!r} is no name for it; write one as users_export.")


def write(new: Mapping[Path, str], changed: Mapping[Path, str]) -> list[Path]:
    """Write files that are new, and others anew; all of them are the answer.

    Raises:
        CommandError: one that is new is there already; nothing was written.
    """
    for path in new:
        if path.exists():
            raise CommandError(f"{path} exists; take another name.")
    for path, text in {**new, **changed}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [*new, *changed]


def json_text(value: Any) -> str:
    """JSON with a line for each member of what does not fit a line."""
    return _lines(value, "", "") + "\n"


def _lines(value: Any, indent: str, before: str) -> str:
    line = f"{before}{json.dumps(value, ensure_ascii=False)}"
    if not value or not isinstance(value, dict | list) or len(indent) + len(line) < _LINE_LENGTH:
        return f"{indent}{line}"
    members = [(f"{json.dumps(key)}: ", each) for key, each in value.items()] if isinstance(value, dict) else None
    inner = ",\n".join(_lines(each, f"{indent}  ", key) for key, each in members or (("", each) for each in value))
    opening, closing = "[]" if members is None else "{}"
    return f"{indent}{before}{opening}\n{inner}\n{indent}{closing}"
