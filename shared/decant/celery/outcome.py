"""State and result of a task as Celery shows them: errors have their classes, and custom states their details."""

import importlib
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from decant import errors
from decant.celery import states
from decant.celery.exceptions import ChordError, TaskRevokedError, TimeLimitExceeded, WorkerLostError
from decant.celery.serialization import encode, restore
from decant.tasks.records import EXPIRED, Failure, State
from decant.tasks.status import Status
from decant.tasks.store import store

__all__ = ["IGNORED", "Seen", "describe", "seen"]

IGNORED = "Ignored"
"""Type of the failure of a task that raised `Ignore` or `Reject`."""


class Seen(Struct, frozen=True, kw_only=True):
    """A task as it is shown."""

    state: str
    value: Any
    traceback: str | None = None
    name: str | None = None
    queue: str | None = None
    retries: int | None = None
    date_done: datetime | None = None
    children: list[Any] | None = None

    def error(self) -> Exception:
        """The error to raise for a task that has not succeeded."""
        return self.value if isinstance(self.value, Exception) else TaskRevokedError(str(self.value))


async def seen(task_id: UUID) -> Seen:
    """Read a task; one that does not exist is PENDING."""
    found = (await store().statuses([task_id])).get(task_id)
    if found is None:
        return Seen(state=states.PENDING, value=None)
    state, value, traceback = await _shown(found)
    details = found.details if isinstance(found.details, dict) else {}
    return Seen(
        state=state,
        value=value,
        traceback=traceback,
        name=found.name,
        queue=found.queue,
        retries=found.retries,
        date_done=found.date_done if state in states.READY_STATES else None,
        children=details.get("children", []) if state in states.READY_STATES else None,
    )


async def _shown(status: Status) -> tuple[str, Any, str | None]:  # noqa: PLR0911  # a line for every state
    match status.state:
        case State.SUCCESS:
            return states.SUCCESS, restore(status.result), None
        case State.FAILURE:
            origin, is_body = await _origin(status)
            error = _error(origin)
            if is_body:
                error = ChordError(f"Dependency {origin.id} raised {error!r}")
            return states.FAILURE, error, _traceback(origin)
        case State.REVOKED if status.failure is not None and status.failure.type == IGNORED:
            return _reported(status)
        case State.REVOKED:
            expired = status.failure is not None and status.failure.type == EXPIRED
            return states.REVOKED, TaskRevokedError("expired" if expired else "revoked"), None
        case State.RETRY:
            return states.RETRY, _error(status), _traceback(status)
        case _ if status.progress is not None:
            return _reported(status)
        case _:
            return str(status.state), None, None


def _traceback(status: Status) -> str | None:
    return None if status.failure is None else status.failure.traceback


def _reported(status: Status) -> tuple[str, Any, str | None]:
    """The state that `update_state` stored."""
    reported = status.progress
    if not (isinstance(reported, dict) and reported.keys() == {"state", "meta"}):
        return (states.PENDING if status.date_done else str(status.state)), None, None
    state, meta = reported["state"], restore(reported["meta"])
    if state in states.EXCEPTION_STATES and isinstance(meta, dict) and "exc_type" in meta:
        meta = _made(meta["exc_type"], meta.get("exc_module"), meta.get("exc_message"))
    return state, meta, None


async def _origin(status: Status) -> tuple[Status, bool]:
    """The task because of whose failure this task was closed, and whether this task is the body of a chord."""
    details = status.details
    if not (isinstance(details, dict) and "origin" in details):
        return status, False
    origin_id = UUID(details["origin"])
    found = (await store().statuses([origin_id])).get(origin_id)
    return (status, False) if found is None else (found, bool(details["gathered"]))


_BY_TYPE: dict[str, type[Exception]] = {
    "SoftTimeLimitExceeded": errors.SoftTimeLimitExceeded,
    "TimeLimitExceeded": TimeLimitExceeded,
    "WorkerLost": WorkerLostError,
}


def _error(status: Status) -> Exception:
    failure = status.failure or Failure("Exception", "")
    details = status.details if isinstance(status.details, dict) else {}
    if "exc_type" in details:
        return _made(details["exc_type"], details.get("exc_module"), restore(details.get("exc_message")))
    kind = _BY_TYPE.get(failure.type)
    return kind(failure.message) if kind is not None else _made(failure.type, "builtins", [failure.message])


def _made(name: str, module: str | None, args: Any) -> Exception:
    """An error of the class, or of a new class of that name where it cannot be imported."""
    given = args if isinstance(args, list | tuple) else [args] if args else []
    try:
        kind: Any = importlib.import_module(module or "builtins")
        for part in name.split("."):
            kind = getattr(kind, part)
    except (ImportError, AttributeError, ValueError):
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = type(name, (Exception,), {"__module__": module or __name__})
    try:
        return kind(*given)  # type: ignore[no-any-return]  # a class of errors
    except Exception:  # noqa: BLE001  # its constructor has other parameters
        made: Exception = kind.__new__(kind)
        made.args = tuple(given)
        return made


def describe(error: BaseException) -> dict[str, Any]:
    """Class and arguments of an error, as JSON."""
    kind = errors.SoftTimeLimitExceeded if isinstance(error, errors.SoftTimeLimitExceeded) else type(error)
    return {
        "exc_type": kind.__qualname__,
        "exc_module": kind.__module__,
        "exc_message": [_storable(argument) for argument in error.args],
    }


def _storable(value: Any) -> Any:
    try:
        encode(value, "argument")
    except TypeError:
        return repr(value)
    return value
