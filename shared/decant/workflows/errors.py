"""Errors of steps: how they are stored, and raised again with their class."""

import pkgutil
from typing import Any

import msgspec

from decant.errors import StepFailed
from decant.tasks.failures import describe
from decant.workflows.records import Recorded, StepError

__all__ = ["decode_error", "encode_error", "interruption", "raised_again"]


def encode_error(error: BaseException, tries: int = 0) -> StepError:
    """The error as it is stored: its class, and of its arguments and attributes those that are JSON."""
    kind, failure = type(error), describe(error)
    return StepError(
        f"{kind.__module__}:{kind.__qualname__}",
        failure.message,
        failure.traceback,
        list(error.args) if _is_json(list(error.args)) else None,
        {name: value for name, value in vars(error).items() if name != "__notes__" and _is_json(value)},
        tries,
    )


def decode_error(found: Recorded) -> StepError | None:
    """The stored error of a step; None when it has none."""
    return None if found.error is None else msgspec.json.decode(found.error, type=StepError)


def interruption(found: Recorded | None) -> StepError:
    """The error of a step that is interrupted once more at the end of an invocation."""
    before = None if found is None else decode_error(found)
    message = "The step was interrupted at the end of an invocation."
    return StepError("decant.errors:TimeLimitExceeded", message, tries=1 + (0 if before is None else before.tries))


def raised_again(step: str, stored: StepError) -> Exception:
    """An error of the original class; `StepFailed` when that cannot be imported."""
    try:
        kind: Any = pkgutil.resolve_name(stored.type)
    except (ImportError, AttributeError, ValueError):
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return StepFailed(step, stored.type, stored.message, stored.traceback)
    args = (stored.message,) if stored.args is None else tuple(stored.args)
    error: Exception = kind.__new__(kind, *args)  # its __init__ may take other arguments
    error.args = args
    vars(error).update(stored.state or {})
    error.add_note(f"Step {step} raised this error in an earlier run:\n{stored.traceback}")
    return error


def _is_json(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
