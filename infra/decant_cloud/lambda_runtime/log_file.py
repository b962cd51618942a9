"""Every log line of every function, in one file that others follow: JSON, one line each.

CloudWatch Logs hold the same lines; this is how a terminal shows them while they are written, at no cost to the engine.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Journal", "Line"]

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Line:
    """One line of a log, and when it was written, in epoch seconds."""

    time_s: float
    text: str


class Journal:
    """An append-only file of log lines; each is written at once, so many environments share it without a lock."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, function: str, environment: str, request_id: str, text: str) -> Line:
        """Add one line of a function's log, as of now."""
        line = Line(time.time(), text)
        entry = {
            "time": line.time_s,
            "function": function,
            "environment": environment,
            "request": request_id,
            "line": line.text,
        }
        os.write(self._file, f"{_encode(entry)}\n".encode())
        return line
