"""The request's JSON body, form and query string as msgspec Structs, with all validation errors.

msgspec itself stops at the first error.
"""

import types
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Annotated, Any, TypeAliasType, Union, get_args, get_origin, overload

from flask import request
from msgspec import DecodeError, Struct, UnsetType, ValidationError, convert, json, structs
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import UnsupportedMediaType

from decant.errors import InvalidInput, MalformedBody

__all__ = ["body", "form", "query"]

_MAX_ERRORS = 100
"""Maximum number of errors in a response."""
_MAX_UNKNOWN = 20
"""Maximum number of unknown fields among them."""
_MAX_CHARACTERS = 100
"""Maximum length of a path and of a message: both can contain text of the client."""

_UNKNOWN_FIELD = "This field is unknown"

_LISTS = (list, set, frozenset, tuple)
_MISSING = object()
_UNKNOWN = object()


@overload
def body[T](into: type[T]) -> T: ...
@overload
def body[T, D](into: type[T], *, default: D) -> T | D: ...
def body(into: Any, *, default: Any = _MISSING) -> Any:
    """Parse the current request's JSON body.

    Args:
        into: A msgspec Struct, or any type that msgspec supports; `forbid_unknown_fields` and `msgspec.Meta` apply.
        default: Returned for a request without a body, which is otherwise an error.
    Raises:
        MalformedBody: there is no body and no default, or the body is not JSON.
        UnsupportedMediaType: its Content-Type is not JSON. A form of another site can send `text/plain`, but a browser
            sends a preflight request before JSON.
        InvalidInput: fields are missing, unknown, of a wrong type or value, or contain NUL; all are named.
    """
    data = request.get_data(cache=True)
    if not data:
        if default is not _MISSING:
            return default
        raise MalformedBody("The request has no body; send JSON.")
    if not request.is_json:
        raise UnsupportedMediaType("The body must be JSON, with Content-Type: application/json.")
    try:
        if b"\\u0000" in data and (nuls := _nul_errors(json.decode(data))):
            raise InvalidInput(nuls)
        try:
            return json.decode(data, type=into)
        except ValidationError:
            given = json.Decoder(float_hook=_number).decode(data)
            try:
                return convert(given, into, str_keys=True)
            except ValidationError as error:
                raise InvalidInput(_validation_errors(given, into, strict=True)) from error
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedBody("The body is not valid JSON.") from error


def _number(literal: str) -> int | float:
    """The number of a JSON text: 1.0 is the integer 1, as in JavaScript and for JSON Schema, and unlike in msgspec."""
    number = float(literal)
    return int(number) if number.is_integer() else number


def query[T](into: type[T]) -> T:
    """Parse the current request's query string; values are converted from text, repeated ones fill a list.

    Args:
        into: A msgspec Struct; `forbid_unknown_fields` and `msgspec.Meta` apply.
    Raises:
        InvalidInput: parameters are missing, unknown, repeated, of a wrong type or value, or contain the character NUL;
            all are named.
    """
    return _convert(request.args, into, may_hold_nul=b"%00" in request.query_string)


def form[T](into: type[T]) -> T:
    """Parse the current request's form, URL-encoded or multipart; texts are converted, repeated fields fill a list.

    Args:
        into: A msgspec Struct; `forbid_unknown_fields` and `msgspec.Meta` apply. Its fields of the type
            `werkzeug.datastructures.FileStorage` take uploaded files.
    Raises:
        UnsupportedMediaType: 415, the body is not a form.
        RequestEntityTooLarge: 413, a field is longer than Flask's MAX_FORM_MEMORY_SIZE, or there are too many.
        InvalidInput: fields are missing, unknown, repeated, of a wrong type or value, or contain the character NUL; all
            are named.
    """
    if request.mimetype not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        raise UnsupportedMediaType("The body must be a form, URL-encoded or multipart/form-data.")
    fields: MultiDict[str, Any] = MultiDict(request.form)
    fields.update(request.files)
    return _convert(fields, into, may_hold_nul=True)


def _convert[T](fields: "MultiDict[str, Any]", into: type[T], *, may_hold_nul: bool) -> T:
    lists = _list_fields(into)  # type: ignore[arg-type]  # a class is hashable
    given: dict[str, Any] = {}
    for name, values in fields.lists():
        given[name] = values if name in lists or len(values) > 1 else values[0]
    if may_hold_nul and (nuls := _nul_errors(given)):
        raise InvalidInput(nuls)
    if nulls := _null_errors(given, into):
        raise InvalidInput(nulls)
    try:
        return convert(given, into, strict=False)
    except ValidationError as error:
        raise InvalidInput(_validation_errors(given, into, strict=False)) from error


def _validation_errors(given: Any, into: Any, *, strict: bool) -> dict[str, str]:
    """Messages by the path of the field: `seconds`, `address.city`, `items[2].name`; `$` is the whole input.

    At most 100 errors are returned, of which at most 20 name unknown fields. Longer paths and messages than 100
    characters are truncated, so that the response is smaller than a hostile request.

    Args:
        given: The decoded input, of plain dicts, lists and scalars.
        into: The type that it should have.
        strict: Whether text that holds a number is an error.
    """
    found = _limit_unknown(_errors(given, into, "", strict=strict))
    return {_truncated(path): _truncated(problem) for path, problem in islice(found, _MAX_ERRORS)}


def _null_errors(given: Mapping[str, Any], into: Any) -> dict[str, str]:
    """Messages for query parameters with the text `null`, which msgspec converts to None where None is allowed.

    A parameter without a value is left out of a query string. `?state=null` would otherwise remove a filter.

    Args:
        given: Parameters with their text.
        into: A Struct; fields that accept text keep the text `null`.
    """
    nulls = {name for name, value in given.items() if isinstance(value, str) and value.lower() == "null"}
    fields = structs.fields(into) if nulls else ()
    return {
        field.encode_name: "Expected a value, got null"
        for field in fields
        if field.encode_name in nulls and str not in {get_origin(arm) or arm for arm in _arms(field.type)}
    }


def _nul_errors(given: Any) -> dict[str, str]:
    """Messages for texts with the character NUL, which PostgreSQL cannot store.

    Args:
        given: The decoded input, of plain dicts, lists and scalars.
    """
    found = ((_truncated(path or "$"), "The character NUL is not allowed") for path in _nuls(given, ""))
    return dict(islice(found, _MAX_ERRORS))


def _nuls(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str) and "\x00" in value:
        yield path
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _nuls(name, path)
            yield from _nuls(part, _join(path, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _nuls(part, f"{path}[{index}]")


def _limit_unknown(errors: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    unknown = 0
    for path, problem in errors:
        unknown += problem == _UNKNOWN_FIELD
        if problem != _UNKNOWN_FIELD or unknown <= _MAX_UNKNOWN:
            yield path, problem


def _truncated(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"


@cache
def _list_fields(into: type) -> frozenset[str]:
    """Names of the Struct's fields that hold several values; cached, because reflection costs 14 µs and more."""
    return frozenset(
        field.encode_name
        for field in structs.fields(into)
        if any(get_origin(arm) in _LISTS or arm in _LISTS for arm in _arms(field.type))
    )


def _errors(given: Any, into: Any, path: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    """The errors of the parts, or when there are none, that of the whole.

    Errors are found as they are read, and valid parts are not searched: a body can have 100,000 parts.
    """
    try:
        convert(given, into, strict=strict)
    except ValidationError as error:
        whole = path or "$", str(error).partition(" - at `")[0]
    else:
        return
    has_errors = False
    for part in _parts(given, into, path):
        for error_of_part in _part_errors(*part, strict=strict):
            has_errors = True
            yield error_of_part
    if not has_errors:
        yield whole


type _Part = tuple[Any, Any, str]


def _part_errors(given: Any, into: Any, path: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    if given is _MISSING:
        yield path, "This field is required"
    elif into is _UNKNOWN:
        yield path, _UNKNOWN_FIELD
    else:
        yield from _errors(given, into, path, strict=strict)


def _parts(given: Any, into: Any, path: str) -> Iterator[_Part]:
    """The values inside a value, with their required types and paths."""
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
    """The type of a union of a type with None or UnsetType; the types of other unions cannot be distinguished here."""
    while isinstance(into, TypeAliasType) or get_origin(into) is Annotated:
        into = into.__value__ if isinstance(into, TypeAliasType) else get_args(into)[0]
    if get_origin(into) not in {Union, types.UnionType}:
        return (into,)
    arms = [arm for arm in get_args(into) if arm not in {types.NoneType, UnsetType}]
    return _arms(arms[0]) if len(arms) == 1 else ()


def _join(path: str, name: str) -> str:
    return f"{path}.{_truncated(name)}" if path else _truncated(name)
