"""Checks of values that are passed to tasks. The error names the option, and is raised where the value is passed.

A value that PostgreSQL would reject later, in a statement for many tasks, must not get that far.
"""

import hashlib
from datetime import datetime
from typing import Any

from decant.tasks.parameters import encode

__all__ = ["aware", "count", "key", "priority", "seconds", "text"]

_LONGEST_S = 100 * 365.25 * 86_400  # of a delay; PostgreSQL's intervals and Python's dates end later
_MOST = 2**31 - 1  # PostgreSQL's `integer`
_PRIORITIES = range(-(2**15), 2**15)  # PostgreSQL's `smallint`
_LONGEST_KEY_BYTES = 1024  # an entry of a PostgreSQL index has at most 2,704 bytes


def seconds(name: str, value: Any) -> float:
    """A number of seconds from 0 to 100 years.

    Raises:
        TypeError: the value is not a number.
        ValueError: the number is negative, not finite or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not 0 <= value <= _LONGEST_S:
        raise ValueError(f"{name} must be a number of seconds from 0 to {_LONGEST_S:.0f}, not {value!r}")
    return float(value)


def count(name: str, value: Any) -> int:
    """A whole number from 0 to 2³¹ - 1.

    Raises:
        TypeError: the value is not a whole number.
        ValueError: the number is negative or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if not 0 <= value <= _MOST:
        raise ValueError(f"{name} must be a whole number from 0 to {_MOST}, not {value!r}")
    return value


def priority(name: str, value: Any) -> int:
    """A priority.

    Raises:
        TypeError: the value is not a whole number.
        ValueError: the number does not fit 16 bits.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value not in _PRIORITIES:
        raise ValueError(f"{name} must be a whole number from -32768 to 32767, not {value!r}")
    return value


def aware(name: str, value: Any) -> datetime:
    """A time with a time zone.

    Raises:
        TypeError: the value is not a datetime.
        ValueError: the time has no zone.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be an aware time, not {value!r}")
    if value.tzinfo is None:
        raise ValueError(f"{name} must be an aware time: a time without zone differs between machines")
    return value


def text(name: str, value: Any) -> str:
    """Text that PostgreSQL can store.

    Raises:
        TypeError: the value is not text.
        ValueError: the text is empty, or contains NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {value!r}")
    if not value or "\x00" in value:
        raise ValueError(f"{name} must not be empty or contain NUL: {value!r}")
    _encoded(name, value)
    return value


def key(name: str, value: Any) -> str:
    """A key by which calls are compared: short text as it is, and a digest of longer text and of other JSON.

    Raises:
        TypeError: the value is not JSON.
        ValueError: the text contains NUL or a lone surrogate.
    """
    if isinstance(value, str) and len(_encoded(name, text(name, value))) <= _LONGEST_KEY_BYTES:
        return value
    try:
        encoded = encode(value, order="deterministic")
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be JSON: {error}") from error
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def _encoded(name: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} must not contain a lone surrogate: {value!r}") from error
