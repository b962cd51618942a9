"""GET /users, and PATCH and DELETE /users/{user_id}, with their conditions, on a real PostgreSQL."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest

from decant_cloud.invocation import Call, ReadEvent, Response, Token

UNUSED_ID = "6f1c1e0a-4b7e-4d6f-9a39-0c5b1a0f2d11"


class Users:
    """The routes of users, called with a token of both scopes."""

    def __init__(self, call: Call, event: ReadEvent, token: Token) -> None:
        self._call = call
        self._event = event
        self._token = token

    def create(self, name: str) -> dict[str, Any]:
        """A new user, as POST /users returns it."""
        body = json.dumps({"name": name, "email": f"{name}@example.com"})
        user: dict[str, Any] = self._call("users_create", self._event("users_create", body=body)).json()
        return user

    def list(self, query: str = "", scope: str = "users:read", **headers: str) -> Response:
        """Response of GET /users."""
        return self._send("users_list", "/users", scope, query=query, headers=headers)

    def get(self, user_id: str, scope: str = "users:read", **headers: str) -> Response:
        """Response of GET /users/{user_id}."""
        return self._send("users_get", f"/users/{user_id}", scope, headers=headers)

    def update(self, user_id: str, changes: object, scope: str = "users:write", **headers: str) -> Response:
        """Response of PATCH /users/{user_id}; without other conditions, of any version."""
        body = json.dumps(changes)
        return self._send("users_update", f"/users/{user_id}", scope, body=body, headers=headers)

    def delete(self, user_id: str, scope: str = "users:write", **headers: str) -> Response:
        """Response of DELETE /users/{user_id}; without other conditions, of any version."""
        return self._send("users_delete", f"/users/{user_id}", scope, headers=headers)

    def _send(self, name: str, path: str, scope: str, *, headers: dict[str, str], **parts: str) -> Response:
        named = {header.replace("_", "-"): value for header, value in headers.items()}
        given = self._event(name, path=path, headers={"Authorization": f"Bearer {self._token(scope)}"} | named, **parts)
        return self._call(name, given)


@pytest.fixture
def users(database_url: str, call: Call, event: ReadEvent, token: Token) -> Users:
    """The routes, with a database of this test's own."""
    assert database_url
    return Users(call, event, token)


@pytest.fixture
def rows(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the test's own."""
    with psycopg.connect(database_url.replace("+asyncpg", ""), autocommit=True) as connection:
        yield connection


def pages(users: Users, query: str) -> Iterator[list[dict[str, Any]]]:
    """The pages of a list, by their links."""
    while query:
        response = users.list(query)
        assert response.status == 200, response.text
        yield response.json()
        query = urlsplit(response.headers.get("link", "").partition(">")[0].lstrip("<")).query


def test_users_are_listed_newest_first(users: Users) -> None:
    """Each page links the next, and the last links none."""
    created = [users.create(name) for name in "abcde"]

    listed = list(pages(users, "count=2"))

    assert [len(page) for page in listed] == [2, 2, 1]
    assert list(chain(*listed)) == created[::-1]


def test_list_is_stable_when_users_are_created_and_deleted(users: Users) -> None:
    """Every user that exists the whole time is listed exactly once."""
    created = [users.create(name) for name in "abcd"]
    following = pages(users, "count=2")

    first = next(following)
    users.create("new")
    users.delete(created[2]["id"], If_Match="*")  # the last user of the first page
    rest = list(chain(*following))

    assert [user["name"] for user in first + rest] == ["d", "c", "b", "a"]


def test_users_created_at_the_same_time_are_on_one_page_each(users: Users, rows: psycopg.Connection[Any]) -> None:
    """The ids determine the order."""
    created = [users.create(name) for name in "abcde"]
    rows.execute("UPDATE users SET created_at = '2026-01-01T00:00:00Z'")

    listed = list(chain(*pages(users, "count=1")))

    assert [user["id"] for user in listed] == sorted((user["id"] for user in created), key=UUID, reverse=True)


def test_list_is_filtered_by_address(users: Users) -> None:
    """Case is ignored, and an unused address gives an empty page."""
    users.create("ada")
    users.create("grace")

    assert [user["name"] for user in users.list("email=ADA@Example.com").json()] == ["ada"]
    assert users.list("email=unused@example.com").json() == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("count=0", "count"),
        ("count=201", "count"),
        ("before=2026-01-01T00:00:00Z", "before"),
        (f"before=2026-01-01T00:00:00&before={UNUSED_ID}", "before"),
        ("email=a&email=b", "email"),
        ("name=ada", "name"),
    ],
)
def test_list_rejects_invalid_parameters(users: Users, query: str, field: str) -> None:
    """The parameter is named."""
    response = users.list(query)

    assert (response.status, [error["field"] for error in response.json()["errors"]]) == (422, [field])


def test_list_that_has_not_changed_is_not_sent_again(users: Users) -> None:
    """Its ETag is that of the page."""
    users.create("ada")
    tag = users.list().headers["etag"]

    assert (users.list(If_None_Match=tag).status, users.list(If_None_Match=tag).text) == (304, "")
    users.create("grace")
    assert users.list(If_None_Match=tag).status == 200


def test_user_that_has_not_changed_is_not_sent_again(users: Users) -> None:
    """Clients may keep it and must check it; with the address and without, it has different versions."""
    user = users.create("ada")
    shown = users.get(user["id"])

    assert shown.headers["cache-control"] == "private, no-cache"
    assert users.get(user["id"], If_None_Match=shown.headers["etag"]).status == 304
    assert users.get(user["id"], scope="other", If_None_Match=shown.headers["etag"]).status == 200


def test_update_changes_the_given_fields(users: Users) -> None:
    """The response has the new version, with which the next change is made."""
    user = users.create("ada")

    first = users.update(user["id"], {"name": "Ada King"}, If_Match=users.get(user["id"]).headers["etag"])
    second = users.update(user["id"], {"email": "king@example.com"}, If_Match=first.headers["etag"])

    assert (first.status, first.json()) == (200, user | {"name": "Ada King"})
    assert second.json() == user | {"name": "Ada King", "email": "king@example.com"}
    assert (users.get(user["id"]).json(), users.get(user["id"]).headers["etag"]) == (
        second.json(),
        second.headers["etag"],
    )


@pytest.mark.parametrize(
    ("changes", "fields"),
    [({"name": None}, ["name"]), ({"id": "x"}, ["id"]), ({"name": "", "email": "x"}, ["name", "email"]), ([], ["$"])],
)
def test_update_rejects_invalid_changes(users: Users, changes: object, fields: list[str]) -> None:
    """A field cannot be removed, and nothing is changed."""
    user = users.create("ada")

    response = users.update(user["id"], changes, If_Match="*")

    assert (response.status, [error["field"] for error in response.json()["errors"]]) == (422, fields)
    assert users.get(user["id"]).json() == user


def test_update_rejects_an_address_that_is_taken(users: Users) -> None:
    """Case is ignored; the user keeps its own address in another case."""
    ada, _ = users.create("ada"), users.create("grace")

    assert users.update(ada["id"], {"email": "GRACE@example.com"}, If_Match="*").status == 409
    assert users.update(ada["id"], {"email": "ADA@example.com"}, If_Match="*").status == 200


@pytest.mark.parametrize("method", ["update", "delete"])
def test_change_needs_the_present_version(users: Users, method: str) -> None:
    """Without a version it would overwrite changes of others: 428, and 412 for an older version."""
    user = users.create("ada")
    old = users.get(user["id"]).headers["etag"]
    users.update(user["id"], {"name": "Ada King"}, If_Match=old)
    arguments: tuple[Any, ...] = (user["id"], {"name": "Ada"}) if method == "update" else (user["id"],)

    statuses = [getattr(users, method)(*arguments, If_Match=match).status for match in ("", old, '"other"')]

    assert statuses == [428, 412, 412]
    assert users.get(user["id"]).json()["name"] == "Ada King"


def test_deleted_user_is_not_found(users: Users) -> None:
    """Its address can be used again."""
    user = users.create("ada")

    deleted = users.delete(user["id"], If_Match=users.get(user["id"]).headers["etag"])

    assert (deleted.status, deleted.text) == (204, "")
    again = [users.get(user["id"]), users.update(user["id"], {}, If_Match="*"), users.delete(user["id"], If_Match="*")]
    assert [response.status for response in again] == [404, 404, 404]
    assert users.create("ada")["id"] != user["id"]


@pytest.mark.parametrize("method", ["list", "update", "delete"])
def test_route_needs_its_scope(users: Users, method: str) -> None:
    """A token without it gets 403 for any user's id."""
    arguments: dict[str, tuple[Any, ...]] = {"list": (), "update": (UNUSED_ID, {}), "delete": (UNUSED_ID,)}

    assert getattr(users, method)(*arguments[method], scope="tasks:admin").status == 403
