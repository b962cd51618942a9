"""What is new in the bundle: its name, and its files."""

import keyword
import re
from collections.abc import Mapping
from pathlib import Path

from decant_cloud.errors import CommandError

__all__ = ["check_name", "write"]

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
