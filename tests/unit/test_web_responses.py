"""Structs as responses, and the comparison of responses with the views' annotations."""

import json
from typing import Any, Literal
from uuid import UUID

import pytest
from flask import Flask, Response, jsonify
from msgspec import Struct

from decant import runtime
from decant.web import lambda_handler, responds
from decant.web.responses import Declared, declared_responses
from tests.loading import Context, rest_request

pytestmark = pytest.mark.usefixtures("kept_logs")

ID = UUID("00000000-0000-0000-0000-000000000001")


class User(Struct):
    """A response."""

    id: UUID
    name: str = "Ada"


type Created = tuple[User, Literal[201], dict[str, str]]


def make_app() -> Flask:
    """Views that return Structs in every way that Flask has."""
    app = Flask("structs")

    @app.get("/struct")
    async def struct() -> User:
        return User(ID)

    @app.get("/list")
    def several() -> list[User]:
        return [User(ID)]

    @app.get("/nested")
    async def nested() -> dict[str, Any]:
        return {"user": User(ID)}

    @app.get("/tuple")
    async def created() -> Created:
        return User(ID), 201, {"Location": "users/1"}

    @app.get("/jsonify")
    async def made() -> Response:
        return jsonify(User(ID))

    @app.get("/wrong")
    async def wrong() -> dict[str, int]:
        return {"count": "many"}  # type: ignore[dict-item]

    @app.get("/wrong-status")
    async def wrong_status() -> User:
        return User(ID), 202  # type: ignore[return-value]

    @app.get("/declared")
    @responds(list[int])
    async def declared() -> Response:
        return jsonify(["one"])

    @app.get("/redirect")
    async def redirect() -> User:
        return Response(status=302, headers={"Location": "/"})  # type: ignore[return-value]

    return app


def get(path: str, app: Flask | None = None) -> tuple[int, Any]:
    """Status and decoded body of a request."""
    response = lambda_handler(app or make_app())(rest_request(path), Context())
    return response["statusCode"], json.loads(response["body"] or "null")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/struct", {"id": str(ID), "name": "Ada"}),
        ("/list", [{"id": str(ID), "name": "Ada"}]),
        ("/nested", {"user": {"id": str(ID), "name": "Ada"}}),
        ("/jsonify", {"id": str(ID), "name": "Ada"}),
    ],
)
def test_views_return_structs(path: str, expected: object) -> None:
    """A Struct is JSON wherever Flask accepts a value."""
    assert get(path) == (200, expected)


def test_tuple_keeps_status_and_headers() -> None:
    """Flask's tuple of body, status and headers may begin with a Struct."""
    response = lambda_handler(make_app())(rest_request("/tuple"), Context())

    assert response["statusCode"] == 201
    assert response["headers"]["location"] == "users/1"


def test_structs_work_in_flasks_test_client() -> None:
    """The app accepts Structs outside of Lambda too, once it has a handler."""
    app = make_app()
    lambda_handler(app)

    assert app.test_client().get("/struct").get_json() == {"id": str(ID), "name": "Ada"}


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/wrong", "Expected `int`, got `str` - at `$[...]`"),
        ("/wrong-status", "wrong_status responded 202, and declares 200"),
        ("/declared", "Expected `int`, got `str` - at `$[0]`"),
    ],
)
def test_mismatch_is_an_error_in_stage_local(path: str, logged: str, caplog: pytest.LogCaptureFixture) -> None:
    """The response is an opaque 500, and the log names the field."""
    assert get(path)[0] == 500
    assert logged in caplog.text


@pytest.mark.parametrize(("path", "status"), [("/wrong", 200), ("/wrong-status", 202), ("/declared", 200)])
def test_responses_are_not_checked_in_other_stages(monkeypatch: pytest.MonkeyPatch, path: str, status: int) -> None:
    """Production serves what the view returned."""
    monkeypatch.setenv("STAGE", "prod")
    runtime.current().reload()

    assert get(path)[0] == status


def test_other_responses_of_a_view_are_not_compared() -> None:
    """A redirect has no body of the declared type."""
    assert get("/redirect")[0] == 302


def test_declared_responses_come_from_decorators_or_the_annotation() -> None:
    """An annotation without a type declares nothing; a decorator takes precedence."""

    @responds(User, 201)
    @responds(status=204, description="There was nothing to do.")
    async def decorated() -> Any: ...

    def union() -> User | tuple[list[User], Literal[202]]: ...  # type: ignore[empty-body]

    def any_status() -> tuple[User, int]: ...  # type: ignore[empty-body]

    def text() -> str: ...  # type: ignore[empty-body]

    def unknown() -> Response: ...  # type: ignore[empty-body]

    assert declared_responses(decorated) == (
        Declared(201, User),
        Declared(204, None, description="There was nothing to do."),
    )
    assert declared_responses(union) == (Declared(200, User), Declared(202, list[User]))
    assert declared_responses(text) == (Declared(200, str, "text/html"),)
    assert declared_responses(unknown) == declared_responses(any_status) == ()
