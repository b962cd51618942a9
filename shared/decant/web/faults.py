"""Every fault of an input, where msgspec itself stops at the first."""

import types
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Struct, ValidationError, convert, structs

__all__ = ["faults", "list_fields"]

_MOST = 100
"""Faults that are told of one input; who sends more has not written them by hand."""

_LISTS = (list, set, frozenset, tuple)


def faults(given: Any, into: Any, *, strict: bool) -> dict[str, str]:
    """What is wrong with each field, by its path: `seconds`, `address.city`, `items[2].name`; `$` is the whole.

    Args:
        given: What was decoded, of plain dicts, lists and scalars.
        into: The type it should have.
        strict: Whether text is no number.
    """
    return dict(islice(_faults(given, into, "", strict=strict), _MOST))


def list_fields(into: type) -> frozenset[str]:
    """Names of the Struct's fields that hold several values."""
    return frozenset(
        field.encode_name
        for field in structs.fields(into)
        if any(get_origin(arm) in _LISTS or arm in _LISTS for arm in _arms(field.type))
    )


def _faults(given: Any, into: Any, path: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    """The faults inside, or when there are none, that of the whole."""
    inside = [fault for part in _parts(given, into, path) for fault in _part_faults(*part, strict=strict)]
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


def _part_faults(given: Any, into: Any, path: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    if given is _MISSING:
        yield path, "This field is required"
    elif into is _UNKNOWN:
        yield path, "This field is unknown"
    else:
        yield from _faults(given, into, path, strict=strict)


def _parts(given: Any, into: Any, path: str) -> Iterator[_Part]:
    """The values inside a value, each with the type it should have and its path."""
    for arm in _arms(into):
        kind = get_origin(arm) or arm
        if isinstance(given, dict) and isinstance(kind, type) and issubclass(kind, Struct):
            yield from _struct_parts(given, arm, path)
        elif isinstance(given, list) and kind in {list, set, frozenset} and get_args(arm):
            yield from ((each, get_args(arm)[0], f"{path}[{index}]") for index, each in enumerate(given))
        elif isinstance(given, dict) and kind is dict and get_args(arm):
            yield from ((each, get_args(arm)[1], _join(path, str(key))) for key, each in given.items())


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
    """The types of a union that is one type or None; others cannot be told apart here and stay whole."""
    while get_origin(into) is Annotated:
        into = get_args(into)[0]
    if get_origin(into) not in {Union, types.UnionType}:
        return (into,)
    arms = [arm for arm in get_args(into) if arm is not types.NoneType]
    return _arms(arms[0]) if len(arms) == 1 else ()


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
