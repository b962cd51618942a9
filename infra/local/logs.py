"""The functions' logs as one stream that a person reads: when, who, what."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text

__all__ = ["Entry", "Renderer", "follow"]

_LOOK_EVERY_S = 0.1
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
_LEVELS = {"DEBUG": "dim", "INFO": "default", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
_SHOWN_ELSEWHERE = {"level", "message", "timestamp", "service", "stage", "function", "logger", "location", "exception"}
_SHOWN_ELSEWHERE |= {"correlation_id", "xray_trace_id", "exception_name"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a function's log.

    Attributes:
        time: Epoch seconds.
        function: Its name at AWS.
        request: Request id of the invocation; empty during init.
    """

    time: float
    function: str
    environment: str
    request: str
    line: str


def follow(journal: Path, until: Callable[[], bool]) -> Iterator[Entry]:
    """Entries of a journal, from the first on and as they are written, until told to end."""
    with journal.open() as lines:
        partial = ""
        while True:
            partial += lines.readline()
            if partial.endswith("\n"):
                yield Entry(**json.loads(partial))
                partial = ""
            elif until():
                return
            else:
                time.sleep(_LOOK_EVERY_S)


class Renderer:
    """Makes coloured text of entries, each function in a colour of its own.

    Args:
        functions: Names at AWS by logical id.
    """

    def __init__(self, functions: Mapping[str, str]) -> None:
        self._logical = {name: logical for logical, name in functions.items()}
        self._width = max(map(len, functions), default=0)

    def render(self, entry: Entry) -> Text | None:
        """One entry as text; None for one that says nothing to a person."""
        body = _body(entry.line)
        if body is None:
            return None
        logical = self._logical.get(entry.function, entry.function)
        colour = _COLOURS[sum(map(ord, logical)) % len(_COLOURS)]
        at = datetime.fromtimestamp(entry.time).astimezone().strftime("%H:%M:%S.%f")[:-3]
        head = Text.assemble((at, "dim"), " ", (logical.ljust(self._width), colour), " ")
        indent = " " * head.cell_len
        first, *rest = body.split("\n")
        return Text("\n").join([head + first, *(Text(indent) + line for line in rest)])


def _body(line: str) -> Text | None:
    if line.startswith(("START ", "END ", "INIT_START ")) or not line.strip():
        return None
    if line.startswith("REPORT "):
        return Text(_report(line), "dim")
    if line.startswith("{"):
        try:
            return _structured(json.loads(line))
        except ValueError:
            pass  # not ours: shown as it is
    text = line.replace("\r", "\n").replace("\xa0", " ")
    return Text(text, "red" if text.startswith(("[ERROR]", "INIT_REPORT", "RequestId")) else "")


def _structured(fields: dict[str, Any]) -> Text:
    level = str(fields.get("level", "INFO"))
    text = Text.assemble((str(fields.get("message", "")), _LEVELS.get(level, "default")))
    for name, value in fields.items():
        if name not in _SHOWN_ELSEWHERE and value is not None:
            text.append(f" {name}=", "dim").append(value if isinstance(value, str) else json.dumps(value))
    if identifier := fields.get("correlation_id"):
        text.append(f" [{identifier}]", "dim")
    if level not in {"DEBUG", "INFO"} and (location := fields.get("location")):
        text.append(f" ({location})", "dim")
    if trace := fields.get("exception"):
        text.append(f"\n{trace}", "red")
    return text


def _report(line: str) -> str:
    """Duration, memory and init of an invocation: what of a report line is worth a look."""
    fields = dict(field.split(": ", 1) for field in line.split("\t"))
    shown = [fields["Duration"], fields["Max Memory Used"]]
    if "Init Duration" in fields:
        shown.append(f"init {fields['Init Duration']}")
    if "Status" in fields:
        shown.append(fields.get("Error Type", fields["Status"]))
    return " · ".join(shown)
