"""Make text safe to print: terminals execute escape sequences, which paths of requests and log lines can contain."""

import json
import re
import sys
from typing import Any

from rich.console import Console

__all__ = ["json_text", "output", "printable"]

_UNPRINTABLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, screen
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: title, links, clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"  # other escape sequences
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters but for tab and newline
)
"""Source: ECMA-48."""


def output() -> Console:
    """The console of a command: standard output as it is now, also while it is redirected later."""
    return Console(file=sys.stdout)


def printable(text: str) -> str:
    """The text without escape sequences and control characters; newlines and tabs stay."""
    return _UNPRINTABLE.sub("", text)


def json_text(value: Any) -> str:
    """JSON of a value; all of it in ASCII when it contains control characters, which JSON does not escape otherwise."""
    text = json.dumps(value, ensure_ascii=False)
    return text if printable(text) == text else json.dumps(value)
