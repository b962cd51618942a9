"""JSON of arguments and results, with the types that Celery's JSON keeps: times, decimals, UUIDs and bytes.

Source: kombu/utils/json.py.
"""

import base64
import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from decant.celery.exceptions import EncodeError

__all__ = ["LARGEST_BYTES", "decode", "encode", "restore"]

LARGEST_BYTES = 16 * 2**20
"""Size of the largest arguments and results, bytes of JSON."""

_ENCODERS: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (datetime, "datetime", datetime.isoformat),  # before `date`, of which it is a subclass
    (date, "date", date.isoformat),
    (time, "time", time.isoformat),
    (Decimal, "decimal", str),
    (UUID, "uuid", lambda value: {"hex": value.hex}),
)
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": lambda value: datetime.fromisoformat(value).date(),
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": lambda value: UUID(**value),
    "bytes": str.encode,
    "base64": base64.b64decode,
}


def _default(value: Any) -> Any:
    reduce = getattr(value, "__json__", None)
    if reduce is not None:
        return reduce()
    for kind, marker, convert in _ENCODERS:
        if isinstance(value, kind):
            return {"__type__": marker, "__value__": convert(value)}
    if isinstance(value, bytes):
        try:
            return {"__type__": "bytes", "__value__": value.decode()}
        except UnicodeDecodeError:
            return {"__type__": "base64", "__value__": base64.b64encode(value).decode()}
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def encode(value: Any, subject: str) -> str:
    """Encode a value as JSON.

    Args:
        value: The value.
        subject: The value in words, for the error.
    Raises:
        EncodeError: the value is not JSON, or too large.
    """
    try:
        encoded = json.dumps(value, default=_default, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(encoded) if len(encoded) < LARGEST_BYTES // 4 else len(encoded.encode())
    except (TypeError, ValueError, RecursionError) as error:
        message = (
            f"{subject}: {error}. Pass JSON: text, numbers, lists, dicts, or an id by which the task reads the rest."
        )
        raise EncodeError(message) from error
    if size > LARGEST_BYTES:
        message = f"{subject}: {size:,} bytes of JSON are more than {LARGEST_BYTES:,}."
        raise EncodeError(f"{message} Store the data elsewhere, such as in S3, and pass its key.")
    return encoded


def decode(text: str) -> Any:
    """Decode JSON."""
    return json.loads(text, object_hook=_object if "__type__" in text else None)


def restore(value: Any) -> Any:
    """The types in a value that was decoded from JSON without them."""
    if isinstance(value, dict):
        return _object({key: restore(item) for key, item in value.items()})
    return [restore(item) for item in value] if isinstance(value, list) else value


def _object(value: dict[str, Any]) -> Any:
    decoder = _DECODERS.get(value["__type__"]) if value.keys() == {"__type__", "__value__"} else None
    return value if decoder is None else decoder(value["__value__"])
