"""The logs of all functions as one readable stream: time, function, line."""

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from decant_cloud.local.terminal import printable

__all__ = ["Entry", "ReadableOutput", "Renderer", "follow", "show_errors"]

_LOOK_EVERY_S = 0.1
_PARTS_OF_A_NAME = 3  # stack, logical id, something random
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
_LEVELS = {"DEBUG": "dim", "INFO": "default", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
_PLACE = re.compile(r'File "(?P<file>/[^"]+)",? [Ll]ine (?P<line>\d+)')
_ADVICE = "LAMBDA_WARNING: Unhandled exception."
"""Advice that the runtime client logs before each error."""

_ERROR = "[ERROR]"
"""Begins the runtime client's line about an error of a function."""

_SETTINGS = re.compile(r"\[ERROR\] ConfigError: (.*?)\nTraceback .*", re.DOTALL)
"""The runtime client's line about invalid settings at init; its traceback leads to no code that could be corrected."""

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

    @property
    def logical_id(self) -> str:
        """The function's name in the template, which CloudFormation makes the middle of its name at AWS."""
        parts = self.function.split("-")
        return parts[1] if len(parts) == _PARTS_OF_A_NAME else self.function


def follow(journal: Path, until: Callable[[], bool]) -> Iterator[Entry]:
    """Entries of a journal, from the first on and as they are written, until `until` returns true at its end."""
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
    """Formats log lines as coloured text, with one colour for each source.

    Args:
        width: Width of the column with the source.
        files: Source file of each source, for links in the terminal.
    """

    def __init__(self, width: int, files: Mapping[str, Path] | None = None) -> None:
        self._width = width
        self._files = files or {}

    def render(self, at: float, source: str, line: str) -> Text | None:
        """One line as text, with the time of day; None for a line without information for a reader."""
        body = _body(printable(line.replace("\r", "\n")))
        if body is None:
            return None
        colour = _COLOURS[sum(map(ord, source)) % len(_COLOURS)]
        clock = datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S.%f")[:-3]
        link = f" link {self._files[source].as_uri()}" if source in self._files else ""
        head = Text.assemble(
            (clock, "dim"), " ", (source, f"{colour}{link}"), " " * max(1, self._width - len(source) + 1)
        )
        first, *rest = body.split("\n")
        return Text("\n").join([head + first, *(Text(" " * head.cell_len) + line for line in rest)])


@contextmanager
def show_errors(console: Console, journal: Path, renderer: Renderer) -> Iterator[None]:
    """Print the errors of functions, such as one at import with its file and line, while the block runs."""
    ended = threading.Event()

    def show() -> None:
        for entry in follow(journal, until=ended.is_set):
            text = renderer.render(entry.time, entry.logical_id, entry.line)
            if text is not None and entry.line.startswith(_ERROR):
                console.print(text, soft_wrap=True)

    thread = threading.Thread(target=show, name="errors", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class ReadableOutput(io.TextIOBase):
    """Standard output for a process that logs JSON: prints each line in readable form."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._renderer = Renderer(width=14)
        self._partial = ""

    def write(self, text: str) -> int:
        """Write text as to a stream; complete lines are printed."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            if (shown := self._renderer.render(time.time(), _logger(line), line)) is not None:
                self._console.print(shown, soft_wrap=True)
        return len(text)


def _logger(line: str) -> str:
    try:
        return str(json.loads(line).get("logger", ""))
    except (ValueError, AttributeError):
        return ""


def _body(line: str) -> Text | None:
    if line.startswith(("START ", "END ", "INIT_START ")) or not line.strip() or _ADVICE in line:
        return None
    if line.startswith("INIT_REPORT ") and line.endswith("ConfigError"):
        return None
    if line.startswith("REPORT "):
        return Text(_report(line), "dim")
    if line.startswith("{"):
        try:
            return _structured(json.loads(line))
        except ValueError:
            pass  # not one of our JSON lines: printed unchanged
    text = _SETTINGS.sub(rf"{_ERROR} Settings are invalid: \1", line)
    text = _PLACE.sub(_as_python_says, text.replace("\xa0", " "))
    return Text(text, "red" if text.startswith((_ERROR, "INIT_REPORT", "RequestId")) else "")


def _structured(fields: dict[str, Any]) -> Text:
    fields = {printable(name): printable(value) if isinstance(value, str) else value for name, value in fields.items()}
    level = str(fields.get("level", "INFO"))
    text = Text.assemble((str(fields.get("message", "")), _LEVELS.get(level, "default")))
    for name, value in fields.items():
        if name not in _SHOWN_ELSEWHERE and value is not None:
            text.append(f" {name}=", "dim").append(value if isinstance(value, str) else json.dumps(value))
    if identifier := fields.get("correlation_id"):
        text.append(f" [{identifier}]", "dim")
    if location := fields.get("location"):
        text.append(f" {_near(location)}", "dim")
    if trace := fields.get("exception"):
        text.append(f"\n{_PLACE.sub(_as_python_says, trace)}", "red")
    return text


def _near(location: str) -> str:
    """`file:line` relative to the current folder; with the absolute path for files elsewhere."""
    file, colon, line = location.rpartition(":")
    path = Path(file).resolve()  # the layer's own packages are links
    return f"{path.relative_to(Path.cwd())}{colon}{line}" if path.is_relative_to(Path.cwd()) else location


def _as_python_says(place: re.Match[str]) -> str:
    """A place of a traceback in Python's format, which editors recognise; that of the runtime client differs."""
    return f'File "{Path(place["file"]).resolve()}", line {place["line"]}'


def _report(line: str) -> str:
    """Duration, memory and init duration of an invocation, from its REPORT line."""
    fields = dict(field.split(": ", 1) for field in line.split("\t"))
    shown = [fields["Duration"], fields["Max Memory Used"]]
    if "Init Duration" in fields:
        shown.append(f"init {fields['Init Duration']}")
    if "Status" in fields:
        shown.append(fields.get("Error Type", fields["Status"]))
    return " · ".join(shown)
