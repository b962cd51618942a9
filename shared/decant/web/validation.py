"""All validation errors of an input, where msgspec itself stops at the first."""

import types
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Struct, ValidationError, convert, structs

__all__ = ["list_fields", "validation_errors"]

_MAX_ERRORS = 100
"""Maximum number of errors in a response."""

_LISTS = (list, set, frozenset, tuple)


def validation_errors(given: Any, into: Any, *, strict: bool) -> dict[str, str]:
    """Messages by the path of the field: `seconds`, `address.city`, `items[2].name`; `$` is the whole input.

    Args:
        given: The decoded input, of plain dicts, lists and scalars.
        into: The type that it should have.
        strict: Whether text that holds a number is an error.
    """
    return dict(islice(_errors(given, into, "", strict=strict), _MAX_ERRORS))


@cache
def list_fields(into: type) -> frozenset[str]:
    """Names of the Struct's fields that hold several values; cached, because reflection costs 14 µs and more."""
    return frozenset(
        field.encode_name
        for field in structs.fields(into)
        if any(get_origin(arm) in _LISTS or arm in _LISTS for arm in _arms(field.type))
    )


def _errors(given: Any, into: Any, path: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    """The errors of the parts, or when there are none, that of the whole."""
    inside = [error for part in _parts(given, into, path) for error in _part_errors(*part, strict=strict)]
    if inside:
        yield from inside
        return
    try:
        convert(given, into, strict=strict)
    except ValidationError as error:
        yield path or "$", str(error).partition(" - at `")[0]


type _Part = tuple[Any, Any, str]

_MISSING = object()
_UNKNOWN = object()


def _part_errors(given: Any, into: Any, path: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    if given is _MISSING:
        yield path, "This field is required"
    elif into is _UNKNOWN:
        yield path, "This field is unknown"
    else:
        yield from _errors(given, into, path, strict=strict)


def _parts(given: Any, into: Any, path: str) -> Iterator[_Part]:
    """The values inside a value, each with the type it should have and its path."""
    for arm in _arms(into):
        kind = get_origin(arm) or arm
        if isinstance(given, dict) and isinstance(kind, type) and issubclass(kind, Struct):
            yield from _struct_parts(given, arm, path)
        elif isinstance(given, list) and kind in {list, set, frozenset} and get_args(arm):
            yield from ((item, get_args(arm)[0], f"{path}[{index}]") for index, item in enumerate(given))
        elif isinstance(given, dict) and kind is dict and get_args(arm):
            yield from ((item, get_args(arm)[1], _join(path, str(key))) for key, item in given.items())


def _struct_parts(given: dict[str, Any], into: Any, path: str) -> Iterator[_Part]:
    config = (get_origin(into) or into).__struct_config__
    known = {config.tag_field}
    for field in structs.fields(into):
        known.add(field.encode_name)
        value = given.get(field.encode_name, _MISSING)
        if value is not _MISSING or field.required:
            yield value, field.type, _join(path, field.encode_name)
    if config.forbid_unknown_fields:
        yield from ((given[name], _UNKNOWN, _join(path, name)) for name in given if name not in known)


def _arms(into: Any) -> tuple[Any, ...]:
    """The type of a union of one type and None; the types of other unions cannot be told apart here."""
    while get_origin(into) is Annotated:
        into = get_args(into)[0]
    if get_origin(into) not in {Union, types.UnionType}:
        return (into,)
    arms = [arm for arm in get_args(into) if arm is not types.NoneType]
    return _arms(arms[0]) if len(arms) == 1 else ()


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
