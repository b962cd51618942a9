"""POST /users and GET /users/{user_id} through their handlers, on a real PostgreSQL."""

import json
from types import ModuleType
from uuid import UUID

import psycopg
import pytest

from decant_cloud.invocation import Response, Token, call, event, load_function
from decant_cloud.local.postgres import Postgres

ADA = '{"name": "Ada Lovelace", "email": "ada@example.com"}'


@pytest.fixture
def users_create(database_url: str) -> ModuleType:
    """The function, with a database of this test's own."""
    assert database_url
    return load_function("users_create")


def stored(database_url: str) -> int:
    """How many users are in the database."""
    with psycopg.connect(database_url.replace("+asyncpg", "")) as connection:
        row = connection.execute("SELECT count(*) FROM users").fetchone()
    assert row is not None
    return int(row[0])


def test_users_create_answers_the_user(users_create: ModuleType) -> None:
    """The answer holds what was stored, and where it can be read."""
    answer = call(users_create, event("users_create", body=ADA))

    user = answer.json()
    assert answer.status == 201
    assert (user["name"], user["email"]) == ("Ada Lovelace", "ada@example.com")
    assert str(UUID(user["id"])) == user["id"]
    assert user["created_at"].endswith("Z")
    assert answer.headers["location"] == f"users/{user['id']}"


def get(user_id: str, bearer: str | None = None) -> Response:
    """The response of GET /users/{user_id}, with a token or without."""
    given = event("users_get", path=f"/users/{user_id}")
    if bearer is not None:
        given["multiValueHeaders"]["Authorization"] = [f"Bearer {bearer}"]
    return call(load_function("users_get"), given)


@pytest.mark.parametrize(
    ("scope", "shows_email"),
    [
        pytest.param(None, False, id="no token"),
        pytest.param("tasks:admin", False, id="another scope"),
        pytest.param("users:read", True, id="the scope"),
    ],
)
def test_users_get_returns_the_address_to_the_scope_alone(
    users_create: ModuleType, token: Token, scope: str | None, *, shows_email: bool
) -> None:
    """One function returns what the other stored; the e-mail address only to a token with the scope users:read."""
    created = call(users_create, event("users_create", body=ADA)).json()

    answer = get(created["id"], scope and token(scope))

    expected = created if shows_email else {name: created[name] for name in ("id", "name", "created_at")}
    assert (answer.status, answer.json()) == (200, expected)


def test_users_get_rejects_a_token_that_is_invalid(users_create: ModuleType, token: Token) -> None:
    """A caller that presents a token learns that it has expired, instead of missing a field."""
    created = call(users_create, event("users_create", body=ADA)).json()

    assert get(created["id"], token("users:read", seconds=-60)).status == 401


def test_users_create_takes_sql_for_text(users_create: ModuleType, database_url: str) -> None:
    """What would end one statement and begin another is stored as it came."""
    name = "Robert'); DROP TABLE users; --"

    answer = call(users_create, event("users_create", body=json.dumps({"name": name, "email": "a@example.com"})))

    assert (answer.status, answer.json()["name"]) == (201, name)
    assert stored(database_url) == 1


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ("", 400, None),  # no body
        ("{", 400, None),  # broken JSON
        ("[]", 422, ["$"]),  # not an object
        ("{}", 422, ["name", "email"]),  # everything missing
        ('{"name": "Ada"}', 422, ["email"]),  # a field missing
        ('{"name": 1, "email": "ada@example.com"}', 422, ["name"]),  # wrong type
        ('{"name": "", "email": "ada"}', 422, ["name", "email"]),  # two wrong values
        ('{"name": "Ada", "email": "ada@example.com", "admin": true}', 422, ["admin"]),  # a field too many
        ('{"name": "A\\u0000", "email": "ada@example.com"}', 422, ["name"]),  # what PostgreSQL cannot store
        ('{"name": "\\ud800", "email": "ada@example.com"}', 400, None),  # half a character
    ],
)
def test_users_create_refuses_what_is_no_user(
    users_create: ModuleType, database_url: str, body: str, status: int, fields: list[str] | None
) -> None:
    """Every wrong field is named, and nothing is stored."""
    answer = call(users_create, event("users_create", body=body))

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["field"] for fault in answer.json().get("errors", [])] == (fields or [])
    assert stored(database_url) == 0


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@Example.com"])
def test_users_create_refuses_an_address_that_is_taken(users_create: ModuleType, database_url: str, email: str) -> None:
    """An address has one user, however it is written."""
    call(users_create, event("users_create", body=ADA))

    answer = call(users_create, event("users_create", body=json.dumps({"name": "Another", "email": email})))

    assert (answer.status, answer.json()["title"]) == (409, "Conflict")
    assert stored(database_url) == 1


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize("user_id", ["6f1c1e0a-4b7e-4d6f-9a39-0c5b1a0f2d11", "42", "not-an-id", "%00"])
def test_users_get_answers_404_for_no_user(user_id: str) -> None:
    """An unused id, or one that is no id, is not found."""
    answer = call(load_function("users_get"), event("users_get", path=f"/users/{user_id}"))

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_users_create_says_unavailable_until_the_database_is_back(
    users_create: ModuleType, postgres: Postgres, database_url: str
) -> None:
    """While the database is down the response has a Retry-After header; the same process works when it is back."""
    call(users_create, event("users_create", body=ADA))
    postgres.stop()
    try:
        down = call(users_create, event("users_create", body=ADA.replace("ada@", "down@")))
    finally:
        postgres.start()

    back = call(users_create, event("users_create", body=ADA.replace("ada@", "back@")))

    assert (down.status, down.headers["retry-after"]) == (503, "5")
    assert back.status == 201
    assert stored(database_url) == 2
