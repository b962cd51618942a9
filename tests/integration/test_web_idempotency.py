"""`@idempotent` on a real PostgreSQL: one effect for a key, and the first response for every request with it."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from flask import Flask, request
from sqlalchemy import text
from werkzeug.exceptions import ImATeapot

from decant import db
from decant.errors import Conflict, ServiceUnavailable
from decant.tasks import task
from decant.web import asgi_app, idempotent, lambda_handler
from tests.loading import Context, rest_request

pytestmark = pytest.mark.usefixtures("kept_logs", "new_tasks")


@pytest.fixture
def orders(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A table of orders, read over a connection of its own."""
    with psycopg.connect(database_url.replace("+asyncpg", ""), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders")
        connection.execute("CREATE TABLE orders (name text UNIQUE)")
        yield connection
        connection.execute("DROP TABLE orders")


def count(orders: psycopg.Connection[Any], table: str = "orders") -> int:
    """The number of rows of a table."""
    (found,) = orders.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)  # noqa: S608
    return int(found)


def make_app() -> Flask:  # noqa: C901  # a view for every kind of response
    """Views that write, and then respond in several ways."""
    app = Flask("orders")

    @task
    async def deliver() -> None: ...

    async def write(name: str) -> None:
        async with db.session() as session:
            await session.execute(text("INSERT INTO orders VALUES (:name)"), {"name": name})

    @app.post("/orders")
    @idempotent
    async def create() -> tuple[dict[str, int], int, dict[str, str]]:
        await write(request.get_json()["name"])
        await deliver.delay()
        await asyncio.sleep(0.1)
        return {"number": 1}, 201, {"Location": "orders/1"}

    @app.post("/failing/<kind>")
    @idempotent
    async def failing(kind: str) -> tuple[str, int]:
        if kind == "statement":
            await db.execute(text("INSERT INTO orders VALUES ('statement')"), {})
        else:
            await write(kind)
        if kind == "conflict":
            try:
                await write(kind)
            except Exception as error:
                raise Conflict("It exists.") from error
        if kind == "teapot":
            raise ImATeapot
        if kind == "unavailable":
            raise ServiceUnavailable("Later.")
        if kind == "bug":
            raise KeyError(kind)
        return "failed", 503

    @app.post("/required")
    @idempotent(required=True)
    async def required() -> str:
        return "done"

    return app


def post(
    app: Flask, path: str, key: str | None = "k-1", body: str = '{"name": "a"}', **headers: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of a POST request through the Lambda handler."""
    named = {"Content_Type": "application/json"} | ({"Idempotency_Key": key} if key is not None else {}) | headers
    response = lambda_handler(app)(rest_request(path, "POST", **named) | {"body": body}, Context())
    return response["statusCode"], response["headers"], response["body"]


def test_repeated_request_gets_the_first_response(orders: psycopg.Connection[Any]) -> None:
    """Status, body and headers are the same, and nothing is written again."""
    app = make_app()

    first = post(app, "/orders")
    second = post(app, "/orders")

    assert (first[0], first[2]) == (second[0], second[2]) == (201, '{"number":1}\n')
    assert "idempotency-replayed" not in first[1]
    assert (second[1]["idempotency-replayed"], second[1]["location"]) == ("true", "orders/1")
    assert (count(orders), count(orders, "decant.task")) == (1, 1)


def test_key_of_another_request_is_rejected(orders: psycopg.Connection[Any]) -> None:
    """The body, the query and the media type belong to the request."""
    app = make_app()
    post(app, "/orders")

    status, _, body = post(app, "/orders", body='{"name": "b"}')

    assert (status, json.loads(body)["detail"]) == (
        422,
        "This Idempotency-Key was used for another request; use a new one.",
    )
    assert count(orders) == 1


def test_keys_of_other_callers_and_routes_are_others(orders: psycopg.Connection[Any]) -> None:
    """A key belongs to a caller and a route."""
    app = make_app()

    assert post(app, "/orders")[0] == 201
    assert post(app, "/orders", body='{"name": "b"}', Authorization="Bearer other")[0] == 201
    assert post(app, "/failing/teapot", body='{"name": "a"}')[0] == 418
    assert count(orders) == 3


def test_requests_without_a_key_are_as_usual(orders: psycopg.Connection[Any]) -> None:
    """Each of them has an effect."""
    app = make_app()

    assert [post(app, "/orders", key=None, body=json.dumps({"name": name}))[0] for name in "ab"] == [201, 201]
    assert count(orders) == 2


@pytest.mark.parametrize("key", ["", "ä", "k" * 256, "a\tb"])
def test_invalid_keys_are_rejected(orders: psycopg.Connection[Any], key: str) -> None:
    """An invalid key is the client's error, and nothing is done."""
    assert post(make_app(), "/orders", key=key)[0] == 400
    assert count(orders) == 0


def test_key_can_be_required() -> None:
    """A request without one is rejected."""
    assert post(make_app(), "/required", key=None)[0] == 400


@pytest.mark.parametrize(("kind", "status", "rows"), [("conflict", 409, 1), ("teapot", 418, 1)])
def test_errors_of_the_client_are_stored(orders: psycopg.Connection[Any], kind: str, status: int, rows: int) -> None:
    """The view is not called again. The block that raised is rolled back, and the block before it is kept."""
    app = make_app()

    responses = [post(app, f"/failing/{kind}") for _ in range(2)]

    assert [each[0] for each in responses] == [status, status]
    assert responses[1][1]["idempotency-replayed"] == "true"
    assert responses[0][2] == responses[1][2]
    assert count(orders) == rows


@pytest.mark.parametrize(
    ("kind", "status"), [("unavailable", 503), ("bug", 500), ("returned", 503), ("statement", 503)]
)
def test_errors_of_the_server_are_not_stored(orders: psycopg.Connection[Any], kind: str, status: int) -> None:
    """The effects are rolled back, and a repeated request calls the view again."""
    app = make_app()

    responses = [post(app, f"/failing/{kind}") for _ in range(2)]

    assert [each[0] for each in responses] == [status, status]
    assert "idempotency-replayed" not in responses[1][1]
    assert (count(orders), count(orders, "decant.idempotent_response")) == (0, 0)


def test_fifty_concurrent_requests_have_one_effect(orders: psycopg.Connection[Any]) -> None:
    """All others get 409, or the response once it is stored."""

    async def send() -> list[httpx.Response]:
        application: Any = asgi_app(make_app())
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"Idempotency-Key": "k"}
            requests = (client.post("/orders", json={"name": "a"}, headers=headers) for _ in range(50))
            return list(await asyncio.gather(*requests))

    responses = asyncio.run(send())

    assert {each.status_code for each in responses} <= {201, 409}
    assert sum(each.status_code == 201 and "idempotency-replayed" not in each.headers for each in responses) == 1
    assert all(each.headers["retry-after"] == "1" for each in responses if each.status_code == 409)
    assert (count(orders), count(orders, "decant.task")) == (1, 1)


def test_key_that_another_request_stores_meanwhile_is_rejected(orders: psycopg.Connection[Any]) -> None:
    """The request that commits second gets 409, and has no effect."""
    app, stored = Flask("orders"), list[tuple[bytes]]()

    @app.post("/orders")
    @idempotent
    async def create() -> str:
        await db.execute(text("INSERT INTO orders VALUES ('a')"), {})
        for row in stored:
            orders.execute("INSERT INTO decant.idempotent_response VALUES (%s, '', 201, '[]', '')", row)
        return "done"

    post(app, "/orders")
    stored += orders.execute("DELETE FROM decant.idempotent_response RETURNING key").fetchall()
    orders.execute("DELETE FROM orders")

    status, headers, _ = post(app, "/orders")

    assert (status, headers["retry-after"]) == (409, "1")
    assert (count(orders), count(orders, "decant.idempotent_response")) == (0, 1)


def test_response_is_forgotten_after_a_day(orders: psycopg.Connection[Any]) -> None:
    """The key can then be used for another request."""
    app = make_app()
    post(app, "/orders")
    orders.execute("UPDATE decant.idempotent_response SET created_at = created_at - interval '25 hours'")

    assert post(app, "/orders", body='{"name": "b"}')[0] == 201
    assert (count(orders), count(orders, "decant.idempotent_response")) == (2, 1)


def test_view_must_be_async() -> None:
    """The error is raised where the view is defined."""
    with pytest.raises(TypeError, match="view is not async"):

        @idempotent  # type: ignore[type-var]
        def view() -> str:
            return ""
