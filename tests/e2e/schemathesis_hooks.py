"""Hooks of schemathesis: changes of its requests to the local cloud."""

from typing import Any
from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Shorten waits, make valid idempotency keys new, and leave out what the API rejects though the document allows it.

    A key that was used for another request is rejected, and so are names of headers with an underscore.
    """
    for values in (case.query, case.body):
        if isinstance(values, dict) and 1 < _number(values.get("seconds")) <= 60:
            values["seconds"] = 0.1
    for name, value in list((case.headers or {}).items()):
        if "_" in name:
            del case.headers[name]
        elif name == "Idempotency-Key" and value.isascii() and value.isprintable() and 0 < len(value.strip()) <= 255:
            case.headers[name] = str(uuid4())


def _number(value: object) -> float:
    """The number in a parameter; 0 for a value that is none."""
    try:
        return float(value) if isinstance(value, str | int | float) else 0
    except ValueError:
        return 0
