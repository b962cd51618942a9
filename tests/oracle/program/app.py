"""The app of all cases, and what their tasks share."""

import json
import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from celery import Celery
from celery.result import AsyncResult

__all__ = ["WAIT_S", "app", "error_of", "finished", "key", "note", "notes", "outcome", "shown", "wait_for_notes"]

WAIT_S = 30

app = Celery("oracle", broker=os.environ.get("ORACLE_REDIS"), backend=os.environ.get("ORACLE_REDIS"))
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
app.conf.timezone = "UTC"
app.set_default()


def key() -> str:
    """Name of a new file of notes."""
    return uuid4().hex


def note(name: str, *values: Any) -> None:
    """Append a line to a file that the case reads: what happened in the worker."""
    with (Path(os.environ["ORACLE_FOLDER"]) / name).open("a") as file:
        file.write(json.dumps(values) + "\n")


def notes(name: str) -> list[Any]:
    """The lines of a file of notes."""
    path = Path(os.environ["ORACLE_FOLDER"]) / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for_notes(name: str, count: int) -> list[Any]:
    """The lines of a file of notes, as soon as there are so many."""
    end = time.monotonic() + WAIT_S
    while len(found := notes(name)) < count and time.monotonic() < end:
        time.sleep(0.02)
    return found


def finished(result: Any) -> Any:
    """The result, after its end."""
    end = time.monotonic() + WAIT_S
    while not result.ready() and time.monotonic() < end:
        time.sleep(0.02)
    return result


def error_of(error: Any) -> list[Any]:
    """An error as its classes and its text."""
    return [type(error).__name__, str(error)]


def shown(value: Any) -> Any:
    """A value as JSON."""
    return error_of(value) if isinstance(value, Exception) else value


def outcome(result: AsyncResult) -> dict[str, Any]:
    """State and value of a task after its end."""
    value = result.get(timeout=WAIT_S, propagate=False)
    return {"state": result.state, "value": shown(value)}
