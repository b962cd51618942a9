"""The request's JSON body and query string as msgspec Structs.

msgspec is imported at the first use, so that functions without parameters do not import it.
"""

from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from decant.errors import InvalidInput, MalformedBody

__all__ = ["body", "query"]


def body[T](into: type[T]) -> T:
    """Parse the current request's JSON body.

    Args:
        into: A msgspec Struct, or any type that msgspec knows; `forbid_unknown_fields` and `msgspec.Meta` apply.
    Raises:
        MalformedBody: there is no body, or it is not JSON.
        UnsupportedMediaType: its Content-Type is not JSON. A form of another site can send `text/plain`, but a browser
            sends a preflight request before JSON.
        InvalidInput: fields are missing, unknown, of a wrong type or value, or contain NUL; all are named.
    """
    from msgspec import DecodeError, ValidationError, json  # noqa: PLC0415  # see the module's docstring

    from decant.web.validation import nul_errors  # noqa: PLC0415  # imports msgspec

    data = request.get_data(cache=True)
    if not data:
        raise MalformedBody("The request has no body; send JSON.")
    if not request.is_json:
        raise UnsupportedMediaType("The body must be JSON, with Content-Type: application/json.")
    try:
        if b"\\u0000" in data and (nuls := nul_errors(json.decode(data))):
            raise InvalidInput(nuls)
        try:
            return json.decode(data, type=into)
        except ValidationError as error:
            raise _invalid(json.decode(data), into, strict=True) from error
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedBody("The body is not valid JSON.") from error


def query[T](into: type[T]) -> T:
    """Parse the current request's query string; values are converted from text, repeated ones fill a list.

    Args:
        into: A msgspec Struct; `forbid_unknown_fields` and `msgspec.Meta` apply.
    Raises:
        InvalidInput: parameters are missing, unknown, repeated, of a wrong type or value, or contain the character NUL;
            all are named.
    """
    from msgspec import ValidationError, convert  # noqa: PLC0415  # see the module's docstring

    from decant.web.validation import list_fields, nul_errors, null_errors  # noqa: PLC0415  # imports msgspec

    lists = list_fields(into)  # type: ignore[arg-type]  # a class is hashable
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        given[name] = values if name in lists or len(values) > 1 else values[0]
    if b"%00" in request.query_string and (nuls := nul_errors(given)):
        raise InvalidInput(nuls)
    if nulls := null_errors(given, into):
        raise InvalidInput(nulls)
    try:
        return convert(given, into, strict=False)
    except ValidationError as error:
        raise _invalid(given, into, strict=False) from error


def _invalid(given: Any, into: Any, *, strict: bool) -> InvalidInput:
    from decant.web.validation import validation_errors  # noqa: PLC0415  # imports msgspec

    return InvalidInput(validation_errors(given, into, strict=strict))
