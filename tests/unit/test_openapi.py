"""The OpenAPI document: what it reads from apps, and how it compares them with the template."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from flask import Flask
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]
from openapi_spec_validator import validate
from referencing.exceptions import Unresolvable

from decant_cloud.openapi.document import Function, disagreements, document, load_app
from decant_cloud.openapi.validation import validate as validate_compiled

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


    @app.put("/orders")
    async def replace() -> Order:
        return body(Order, default=Order("a"))


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


def test_body_with_a_default_is_optional(paths: dict[str, Any]) -> None:
    """A client may leave the body of `body(Order, default=…)` out."""
    assert paths["/orders"]["put"]["requestBody"]["required"] is False


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


def test_white_space_of_patterns_is_that_of_python(tmp_path: Path) -> None:
    """JavaScript's lacks some of it, so that a client would accept a value that the view rejects."""
    folder = tmp_path / "functions/names"
    folder.mkdir(parents=True)
    pattern = r'r"\A[^\s@]+\s\\s\Z"'
    (folder / "app.py").write_text(
        "from typing import Annotated\nfrom flask import Flask\nfrom msgspec import Meta, Struct\n"
        "from decant.web import body\napp = Flask(__name__)\n"
        f"class Name(Struct):\n    name: Annotated[str, Meta(pattern={pattern})]\n"
        "@app.post('/names')\ndef create():\n    return body(Name).name\n"
    )
    app = load_app(folder)
    assert app is not None

    made = document(
        [Function(name="names", app=app, routes=frozenset(), event={})], title="", version="", bundle=tmp_path
    )

    pattern = made["components"]["schemas"]["Name"]["properties"]["name"]["pattern"]
    assert pattern == r"^[^\s\x1c-\x1f\x85@]+[\s\x1c-\x1f\x85]\\s$"


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


ROOMS = '''
    """Rooms."""

    from typing import Literal
    from uuid import UUID

    from flask import Flask
    from msgspec import Struct

    from decant.web import body, etag, page

    app = Flask(__name__)


    class Room(Struct):
        id: UUID
        name: str


    @app.get("/rooms")
    async def listed() -> tuple[list[Room], Literal[200], dict[str, str]]:
        rows, links = page([], 1)
        return rows, 200, links


    @app.post("/rooms")
    async def create() -> tuple[Room, Literal[201], dict[str, str]]:
        room = body(Room)
        return room, 201, etag(room, changed=True)


    @app.get("/rooms/<uuid:room_id>")
    async def read(room_id: UUID) -> tuple[Room, Literal[200], dict[str, str]]:
        room = Room(room_id, "a")
        return room, 200, etag(room)


    @app.patch("/rooms/<uuid:room_id>")
    async def change(room_id: UUID) -> tuple[Room, Literal[200], dict[str, str]]:
        room = body(Room)
        etag(room)
        return room, 200, etag(room, changed=True)


    @app.delete("/rooms/<uuid:room_id>")
    async def delete(room_id: UUID) -> tuple[str, Literal[204]]:
        etag(room_id)
        return "", 204


    @app.get("/beds/<bed_id>/<id>")
    async def bed(bed_id: str, id: str) -> Room: ...
'''


@pytest.fixture
def rooms(tmp_path: Path) -> dict[str, Any]:
    """The paths of a resource with pages and versions."""
    folder = tmp_path / "functions/rooms"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(dedent(ROOMS))
    app = load_app(folder)
    assert app is not None
    function = Function(name="rooms", app=app, routes=frozenset(), event={})
    made = document([function], title="Rooms", version="1", bundle=tmp_path)
    validate(made)
    paths: dict[str, Any] = made["paths"]
    return paths


@pytest.mark.parametrize(
    ("path", "method", "statuses", "condition", "headers"),
    [
        ("/rooms", "get", "200", None, ["Link"]),
        ("/rooms", "post", "201 400 403 413 415 422", None, ["ETag"]),
        ("/rooms/{room_id}", "get", "200 304 404", ("If-None-Match", False), ["ETag"]),
        ("/rooms/{room_id}", "patch", "200 400 403 404 412 413 415 422 428", ("If-Match", True), ["ETag"]),
        ("/rooms/{room_id}", "delete", "204 403 404 412 428", ("If-Match", True), []),
    ],
)
def test_conditions_depend_on_the_method(  # noqa: PLR0913, PLR0917  # the columns of a table
    rooms: dict[str, Any], path: str, method: str, statuses: str, condition: object, headers: list[str]
) -> None:
    """`etag` and `page` add headers, and `etag` the statuses of its conditions."""
    operation = rooms[path][method]
    success = operation["responses"][statuses.partition(" ")[0]]

    assert " ".join(operation["responses"]) == statuses
    conditions = [(each["name"], each.get("required", False)) for each in operation.get("parameters", [])]
    assert (conditions[-1] if condition else None) == condition
    assert list(success.get("headers", {})) == headers


def test_condition_has_the_example_of_the_event(tmp_path: Path) -> None:
    """The page's "try it" sends it."""
    folder = tmp_path / "functions/rooms"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(dedent(ROOMS))
    app = load_app(folder)
    assert app is not None
    function = Function(name="rooms", app=app, routes=frozenset(), event={"headers": {"If-Match": "*"}})

    made = document([function], title="Rooms", version="1", bundle=tmp_path)

    conditions = [made["paths"]["/rooms/{room_id}"][method]["parameters"][-1] for method in ("get", "delete")]
    assert [each.get("example") for each in conditions] == [None, "*"]


def test_events_of_a_stream_are_described(tmp_path: Path) -> None:
    """The data of an event is text that contains JSON."""
    folder = tmp_path / "functions/events"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(
        "from flask import Flask, Response\nfrom msgspec import Struct\nfrom decant.web import responds\n"
        "app = Flask(__name__)\nclass Tick(Struct):\n    number: int\n"
        "@app.get('/ticks')\n@responds(Tick, mimetype='text/event-stream')\ndef ticks() -> Response: ...\n"
    )
    app = load_app(folder)
    assert app is not None

    made = document(
        [Function(name="events", app=app, routes=frozenset(), event={})], title="", version="", bundle=tmp_path
    )

    event = made["paths"]["/ticks"]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert event["properties"]["data"] == {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": "#/components/schemas/Tick"},
    }
    assert event["required"] == ["data"]


def test_body_of_patch_is_a_merge_patch(rooms: dict[str, Any]) -> None:
    """The body of a POST is plain JSON."""
    bodies = [rooms["/rooms/{room_id}"]["patch"]["requestBody"], rooms["/rooms"]["post"]["requestBody"]]

    assert [list(body["content"]) for body in bodies] == [["application/merge-patch+json"], ["application/json"]]


def test_created_resource_links_its_operations(rooms: dict[str, Any]) -> None:
    """The links pass the id, and the version to a change; no link leads to a path with an unknown variable."""
    links = rooms["/rooms"]["post"]["responses"]["201"]["links"]
    others = rooms["/rooms/{room_id}"]["get"]["responses"]["200"]["links"]

    room = {"path.room_id": "$response.body#/id"}
    versioned = room | {"header.If-Match": "$response.header.ETag"}
    assert {name: link["parameters"] for name, link in links.items()} == {
        "read": room,
        "change": versioned,
        "delete": versioned,
    }
    assert others["delete"]["parameters"] == {
        "path.room_id": "$request.path.room_id",
        "header.If-Match": "$response.header.ETag",
    }
    assert sorted(others) == ["change", "delete"]


def _invalid_documents() -> dict[str, Callable[[Any], object]]:
    """Changes that make a document with the schema `Room` invalid."""
    return {
        "unknown type": lambda made: _room(made).update(type="strin"),
        "negative length": lambda made: _room(made)["properties"]["name"].update(minLength=-1),
        "pattern that is no expression": lambda made: _room(made)["properties"]["name"].update(pattern="("),
        "type of a parameter": lambda made: _get(made)["parameters"][0].update(schema={"type": "text"}),
        "reference to nothing": lambda made: _get(made)["responses"]["200"].update(_content("#/components/schemas/No")),
        "parameter that is missing": lambda made: _get(made).update(parameters=[]),
        "parameter twice": lambda made: _get(made)["parameters"].append(_get(made)["parameters"][0]),
        "operation twice": lambda made: made["paths"].update({"/other": {"get": _get(made) | {"parameters": []}}}),
        "default of another type": lambda made: _room(made)["properties"]["name"].update(default=1),
        "no information": lambda made: made.pop("info"),
    }


def _room(made: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = made["components"]["schemas"]["Room"]
    return schema


def _get(made: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = made["paths"]["/rooms/{room_id}"]["get"]
    return operation


def _content(reference: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": reference}}}}


@pytest.mark.parametrize("change", _invalid_documents().values(), ids=_invalid_documents().keys())
def test_invalid_document_is_rejected(change: Callable[[Any], object]) -> None:
    """The compiled validation rejects what `openapi-spec-validator` rejects, and no other document."""
    parameter = {"name": "room_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    responses = {"200": {"description": "A room", **_content("#/components/schemas/Room")}}
    made = {
        "openapi": "3.1.0",
        "info": {"title": "Rooms", "version": "1"},
        "paths": {"/rooms/{room_id}": {"get": {"operationId": "a", "parameters": [parameter], "responses": responses}}},
        "components": {"schemas": {"Room": {"type": "object", "properties": {"name": {"type": "string"}}}}},
    }
    for check in (validate, validate_compiled):
        check(made)

    change(made)

    for check in (validate, validate_compiled):
        with pytest.raises((ValidationError, Unresolvable)):
            check(made)
