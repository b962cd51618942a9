"""Return msgspec Structs from views, and check them against the view's return annotation.

    class User(Struct):
        id: UUID
        name: str

    @app.get("/users/<uuid:user_id>")
    async def users_get(user_id: UUID) -> User: ...

    @app.post("/users")
    async def users_create() -> tuple[User, Literal[201], dict[str, str]]: ...

The annotation also describes the response in the OpenAPI document. Where an annotation is not sufficient, such as for a
view that returns a `Response`, the decorator `responds` gives the type and the status.

In the stage `local`, and in tests with `app.testing`, a response of a bundle's function that does not match is a 500,
and the log names the field. In other stages responses are not checked.
"""

import types
import typing
from collections.abc import Callable
from functools import cache
from inspect import unwrap
from typing import Any, Literal, get_args, get_origin

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider

from decant.config import load
from decant.observability import LogSettings

__all__ = ["JSON", "Declared", "accept_structs", "declared_responses", "responds"]

JSON = "application/json"

_DECLARED = "decant_responses"
_OK = 200
_NO_CONTENT = 204
_REDIRECTS = 300


class Declared(typing.NamedTuple):
    """A response that a view declares.

    Attributes:
        status: HTTP status.
        type: Type of the body, for msgspec; None for a response without a body.
        mimetype: Media type of the body.
        description: One sentence; empty for the status's own phrase.
    """

    status: int
    type: Any
    mimetype: str = JSON
    description: str = ""


def responds[F: Callable[..., Any]](
    type_: Any = None, status: int = _OK, *, mimetype: str = JSON, description: str = ""
) -> Callable[[F], F]:
    """Declare a response of a view whose annotation cannot express it; several decorators declare several responses.

    Args:
        type_: Type of the body, a Struct or any type that msgspec supports; None for a response without a body.
        status: HTTP status.
        mimetype: Media type of the body. Only JSON is checked against the type.
        description: What the response means, for the OpenAPI document.
    """

    def declare(view: F) -> F:
        declared = Declared(status, type_, mimetype, description)
        setattr(view, _DECLARED, (declared, *getattr(view, _DECLARED, ())))
        return view

    return declare


def accept_structs(app: Flask, *, check: bool) -> None:
    """Let the views of an app return Structs, also inside of lists, dicts and tuples of body, status and headers.

    Args:
        app: The app.
        check: Compare responses with the views' annotations in the stage `local`; with `app.testing` always.
    """
    make_response = app.make_response
    check = app.testing or (check and load(LogSettings).stage == "local")

    def make(value: Any) -> Response:
        body = value[0] if type(value) is tuple and value else value
        if hasattr(type(body), "__struct_config__"):
            body = app.json.response(body)
            value = body if value.__class__ is not tuple else (body, *value[1:])
        response = make_response(value)
        if check and response.content_type == JSON and response.status_code < _REDIRECTS:
            _check(app, response)
        return response

    app.make_response = make  # type: ignore[method-assign, assignment]  # Flask has no other hook for values of a new type
    provider = app.json
    if isinstance(provider, DefaultJSONProvider):
        default = provider.default
        provider.default = lambda value: _plain(value) if hasattr(value, "__struct_config__") else default(value)


def declared_responses(view: Callable[..., Any]) -> tuple[Declared, ...]:
    """The successful responses of a view, from its decorators `responds` or its return annotation.

    `T` declares status 200, `tuple[T, Literal[201]]` and `tuple[T, Literal[201], headers]` declare 201, and
    `tuple[str, Literal[204]]` a response without a body; a union declares several. Empty when neither gives a type: no
    annotation, `Any`, or a `Response`.
    """
    if declared := getattr(view, _DECLARED, ()):
        return tuple(declared)
    return _annotated(unwrap(view))


@cache
def _annotated(view: Callable[..., Any]) -> tuple[Declared, ...]:
    try:
        annotation = typing.get_type_hints(view, include_extras=True).get("return")
    except (NameError, TypeError):  # a name that is imported for type checkers only
        return ()
    return tuple(declared for arm in _arms(annotation) if (declared := _declared(arm)) is not None)


def _arms(annotation: Any) -> tuple[Any, ...]:
    if isinstance(annotation, typing.TypeAliasType):
        return _arms(annotation.__value__)
    if get_origin(annotation) in {typing.Union, types.UnionType}:
        return tuple(inner for arm in get_args(annotation) for inner in _arms(arm))
    return (annotation,)


def _declared(annotation: Any) -> Declared | None:
    status = _OK
    if get_origin(annotation) is tuple and (parts := get_args(annotation)):
        annotation = parts[0]
        if len(parts) > 1 and get_origin(parts[1]) is Literal:
            status = int(get_args(parts[1])[0])
        elif int in parts:  # a status that is not known before the view is called
            return None
    if status == _NO_CONTENT:
        return Declared(status, None)
    if annotation is str:
        return Declared(status, str, "text/html")
    kind = get_origin(annotation) or annotation
    if kind in {dict, list} or hasattr(kind, "__struct_config__"):
        return Declared(status, annotation)
    return None


def _check(app: Flask, response: Response) -> None:
    view = app.view_functions.get(request.endpoint or "")
    declared = declared_responses(view) if view is not None else ()
    if not declared or response.is_streamed:
        return
    matching = [each for each in declared if each.status == response.status_code]
    if not matching:
        statuses = ", ".join(str(each.status) for each in declared)
        raise TypeError(f"{request.endpoint} responded {response.status_code}, and declares {statuses}")
    import msgspec  # noqa: PLC0415  # functions without Structs do not import it

    try:
        msgspec.json.decode(response.get_data(), type=matching[0].type)
    except msgspec.ValidationError as error:
        raise TypeError(f"the response of {request.endpoint} does not match its annotation: {error}") from error


def _plain(value: Any) -> Any:
    import msgspec  # noqa: PLC0415  # functions without Structs do not import it

    return msgspec.to_builtins(value)
