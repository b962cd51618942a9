"""Hooks of schemathesis: changes of its requests to the local cloud."""

from typing import Any
from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Shorten waits, make valid idempotency keys new, and leave out what the API rejects though the document allows it.

    A key that was used for another request is rejected, and so are names of headers with an underscore, and NUL in the
    arguments of a task, whose schema is any JSON.
    """
    if isinstance(case.body, dict) and "args" in case.body:
        case.body["args"] = _without_nul(case.body["args"])
    for values in (case.query, case.body):
        if isinstance(values, dict) and 1 < _number(values.get("seconds")) <= 60:
            values["seconds"] = 0.1
    for name, value in list((case.headers or {}).items()):
        if "_" in name:
            del case.headers[name]
        elif name == "Idempotency-Key" and value.isascii() and value.isprintable() and 0 < len(value.strip()) <= 255:
            case.headers[name] = str(uuid4())


def _without_nul(value: Any) -> Any:
    """A value without the character NUL in its texts and keys."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(each) for key, each in value.items()}
    return [_without_nul(each) for each in value] if isinstance(value, list) else value


def _number(value: object) -> float:
    """The number in a parameter; 0 for a value that is none."""
    try:
        return float(value) if isinstance(value, str | int | float) else 0
    except ValueError:
        return 0
