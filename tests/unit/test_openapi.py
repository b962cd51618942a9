"""The OpenAPI document: what it reads from apps, and how it compares them with the template."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from decant_cloud.openapi.document import Function, disagreements, document, load_app

SHOP = '''
    """Orders."""

    from enum import StrEnum
    from typing import Annotated, Literal
    from uuid import UUID

    from flask import Flask, Response, abort, jsonify
    from flask.views import MethodView
    from msgspec import Meta, Struct

    from decant import auth
    from decant.errors import Conflict, NotFound
    from decant.tasks import AsyncResult
    from decant.web import body, limit_per_caller, query, responds

    app = Flask(__name__)


    class Size(StrEnum):
        S = "s"
        L = "l"


    class Order(Struct):
        """An order.

        Attributes:
            size: Of the parcel,
                not of its contents.
        """

        name: Annotated[str, Meta(min_length=1, pattern=r"\\A[a-z]+\\Z")]
        size: Size = Size.S


    class Filter(Struct):
        tag: list[str] = []
        count: Annotated[int, Meta(ge=1)] = 50
        before: UUID | None = None


    def reserve(order):
        if order.name == "taken":
            raise Conflict("It is taken.")


    @app.post("/orders")
    @limit_per_caller
    async def create() -> tuple[Order, Literal[201]]:
        """Create an order.

        Orders are delivered.

        Raises:
            NotFound: the shop is closed.
        """
        order = body(Order)
        reserve(order)
        return order, 201


    @app.get("/orders")
    async def several() -> list[Order]:
        """List orders."""
        await auth.require("orders:read")
        query(Filter)
        return []


    @app.get("/orders/<int:number>/<any(front, back):side>")
    @responds(Order)
    @responds(status=204, description="There is no picture.")
    def picture(number: int, side: str) -> Response:
        if number > 10:
            abort(410)
        await_scopes = auth.scopes
        auth.scopes()
        return jsonify(Order("a"))


    @app.get("/orders/<number>/status")
    async def status(number: str):
        job = AsyncResult(number)
        return (await job.status()).shown()


    class Item(MethodView):
        """One item."""

        async def get(self, item_id):
            return query(Filter)
        async def delete(self, item_id):
            """Delete it."""
            raise NotFound(item_id)


    app.add_url_rule("/items/<uuid:item_id>", view_func=Item.as_view("item"))
'''


@pytest.fixture
def shop(tmp_path: Path) -> Function:
    """A function with an app that declares its interface in every way."""
    folder = tmp_path / "functions/shop"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(dedent(SHOP))
    app = load_app(folder)
    assert app is not None
    event = {"pathParameters": {"number": "7"}, "body": '{"name": "a"}', "queryStringParameters": {"count": "5"}}
    return Function(name="shop", app=app, routes=frozenset(), event=event)


@pytest.fixture
def paths(shop: Function, tmp_path: Path) -> dict[str, Any]:
    """The paths of its document, which is valid."""
    made = document([shop], title="Shop", version="1", bundle=tmp_path)
    validate(made)
    paths: dict[str, Any] = made["paths"]
    return paths


def test_docstring_is_summary_and_description(paths: dict[str, Any]) -> None:
    """The sections for readers of the code are left out."""
    operation = paths["/orders"]["post"]

    assert (operation["summary"], operation["description"]) == ("Create an order.", "Orders are delivered.")
    assert operation["operationId"] == "create"


def test_body_and_its_example(paths: dict[str, Any]) -> None:
    """`body(Order)` is the request's body, and the event's body its example."""
    body = paths["/orders"]["post"]["requestBody"]

    assert body["required"] is True
    assert body["content"]["application/json"] == {
        "schema": {"$ref": "#/components/schemas/Order"},
        "example": {"name": "a"},
    }


def test_query_parameters(paths: dict[str, Any]) -> None:
    """Fields of the Struct are parameters; None means a missing one, and examples have the parameter's type."""
    assert {each["name"]: each for each in paths["/orders"]["get"]["parameters"]} == {
        "tag": {
            "name": "tag",
            "in": "query",
            "required": False,
            "schema": {"type": "array", "items": {"type": "string"}, "default": []},
        },
        "count": {
            "name": "count",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "default": 50},
            "example": 5,
        },
        "before": {"name": "before", "in": "query", "required": False, "schema": {"type": "string", "format": "uuid"}},
    }


def test_path_parameters_have_their_converters_types(paths: dict[str, Any]) -> None:
    """Flask's converters become schemas."""
    parameters = paths["/orders/{number}/{side}"]["get"]["parameters"]

    assert [each["schema"] for each in parameters] == [
        {"type": "integer", "minimum": 0},
        {"type": "string", "enum": ["back", "front"]},
    ]
    assert parameters[0]["example"] == 7
    assert paths["/items/{item_id}"]["get"]["parameters"][0]["schema"] == {"type": "string", "format": "uuid"}


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/orders", "post", "201 400 403 404 409 413 415 422 429"),
        ("/orders", "get", "200 401 403 422 503"),
        ("/orders/{number}/{side}", "get", "200 204 401 404 410 503"),
        ("/orders/{number}/status", "get", "200 404 503"),
        ("/items/{item_id}", "get", "200 404 422"),
        ("/items/{item_id}", "delete", "200 403 404"),
    ],
)
def test_responses_are_those_that_the_view_can_cause(
    paths: dict[str, Any], path: str, method: str, statuses: str
) -> None:
    """Errors come from `raise`, `abort`, called functions, decorators, and the sections `Raises` of docstrings."""
    assert " ".join(paths[path][method]["responses"]) == statuses


def test_security(paths: dict[str, Any]) -> None:
    """`auth.require` needs a scope; a token whose scopes are only read is optional."""
    assert paths["/orders"]["get"]["security"] == [{"bearerAuth": ["orders:read"]}]
    assert paths["/orders/{number}/{side}"]["get"]["security"] == [{}, {"bearerAuth": []}]
    assert "security" not in paths["/orders"]["post"]


def test_schemas_have_descriptions_and_patterns_of_javascript(shop: Function, tmp_path: Path) -> None:
    """Clients in other languages read the patterns."""
    order = document([shop], title="Shop", version="1", bundle=tmp_path)["components"]["schemas"]["Order"]

    assert order["description"] == "An order."
    assert order["properties"]["name"]["pattern"] == "^[a-z]+$"
    assert order["properties"]["size"]["description"] == "Of the parcel, not of its contents."


def test_equal_names_of_two_functions_are_told_apart(shop: Function, tmp_path: Path) -> None:
    """Each function has its own `Order` and `create`."""
    folder = tmp_path / "functions/other"
    folder.mkdir()
    (folder / "app.py").write_text(dedent(SHOP).replace("/orders", "/others").replace("/items", "/other-items"))
    app = load_app(folder)
    assert app is not None
    other = Function(name="other", app=app, routes=frozenset(), event={})

    made = document([shop, other], title="Shops", version="1", bundle=tmp_path)

    validate(made)
    assert sum(name.endswith("Order") for name in made["components"]["schemas"]) == 2


def test_document_is_the_same_each_time(shop: Function, tmp_path: Path) -> None:
    """It is committed, so that a difference is a change of the interface."""
    first = document([shop], title="Shop", version="1", bundle=tmp_path)

    assert list(first["paths"]) == sorted(first["paths"])
    assert repr(document([shop], title="Shop", version="1", bundle=tmp_path)) == repr(first)


def test_routes_of_template_and_app_must_agree() -> None:
    """A route that only one of them has is reported."""
    app = Flask("routes")
    app.add_url_rule("/rooms", "rooms", str)
    app.add_url_rule("/rooms/<room>", "room", str, methods=["DELETE"])

    def found(*routes: tuple[str, str]) -> list[str]:
        return list(disagreements([Function(name="rooms", app=app, routes=frozenset(routes), event={})]))

    assert found(("GET", "/rooms"), ("DELETE", "/rooms/{room}")) == []
    assert found(("ANY", "/{proxy+}")) == []
    assert found(("GET", "/rooms"), ("DELETE", "/rooms/{number}")) == [
        "rooms: template.yaml has DELETE /rooms/{number}, and the app has no such route",
        "rooms: its app has DELETE /rooms/{room}, and template.yaml has no such route",
    ]
