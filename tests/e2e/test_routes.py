"""Every route, through the gateway, over HTTP."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from decant_cloud.local import tokens
from tests import upstream
from tests.e2e.running import RunningCloud


@pytest.fixture(scope="module")
def api(local_cloud: RunningCloud) -> Any:
    """An HTTP client of the API."""
    with httpx.Client(base_url=local_cloud.api_url, timeout=120) as client:
        yield client


def ada() -> dict[str, str]:
    """A user that does not exist yet."""
    return {"name": "Ada Lovelace", "email": f"{uuid4()}@example.com"}


def test_fetch_data_answers_the_upstreams_document(api: httpx.Client) -> None:
    """The configured document comes back as it is."""
    answer = api.get("/fetch-data")

    assert answer.status_code == 200
    assert answer.json() == {"userId": 1, "id": 1, "title": "To-do 1", "completed": False}


def test_fetch_data_answers_each_id_or_its_error(api: httpx.Client) -> None:
    """What fails stands in its place among what does not, within the time-out of one request."""
    ids = [2, upstream.SLOW_ID, upstream.BROKEN_ID, upstream.ERROR_ID, upstream.MISSING_ID, upstream.HANGING_UP_ID, 1]

    answer = api.get("/fetch-data", params={"ids": ",".join(map(str, ids))})

    assert [each["id"] for each in answer.json()] == ids
    assert [each.get("error", {}).get("status", 200) for each in answer.json()] == [200, 504, 502, 502, 502, 502, 200]


def test_users_are_created_and_read(api: httpx.Client) -> None:
    """The body arrives, is stored, and is read by another function at `Location`; the address needs a token."""
    new = ada()

    created = api.post("/users", json=new)
    read = api.get(httpx.URL(str(created.url)).join(created.headers["Location"]))

    assert (created.status_code, read.status_code) == (201, 200)
    assert read.json() == {name: value for name, value in created.json().items() if name != "email"}
    assert {name: created.json()[name] for name in new} == new


def test_users_are_listed_changed_and_deleted(api: httpx.Client, local_cloud: RunningCloud) -> None:
    """Links, conditions and versions pass the gateway."""
    token = tokens.mint(local_cloud.folder.parent, "users:read users:write")
    headers = {"Authorization": f"Bearer {token}"}
    user, _ = (api.post("/users", json=ada()).json() for _ in range(2))
    path = f"/users/{user['id']}"

    first = api.get("/users", params={"count": 1}, headers=headers)
    second = api.get(httpx.URL(str(first.url)).join(first.links["next"]["url"]), headers=headers)
    tag = api.get(path, headers=headers).headers["ETag"]
    unchanged = api.get(path, headers=headers | {"If-None-Match": tag})
    merge = {"Content-Type": "application/merge-patch+json"}
    patch: dict[str, Any] = {"headers": headers | merge, "content": '{"name": "Ada King"}'}
    missing = api.patch(path, **patch)
    patch["headers"] |= {"If-Match": tag}
    changed, outdated = api.patch(path, **patch), api.patch(path, **patch)
    deleted = api.delete(path, headers=headers | {"If-Match": changed.headers["ETag"]})

    assert (first.status_code, second.json()[0]) == (200, user)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (missing.status_code, changed.status_code, outdated.status_code) == (428, 200, 412)
    assert changed.json() == user | {"name": "Ada King"}
    assert (deleted.status_code, deleted.content, api.get(path).status_code) == (204, b"", 404)


def test_bad_input_is_answered_with_a_problem(api: httpx.Client) -> None:
    """The gateway passes on the problem document, which names each field."""
    answer = api.post("/users", json={"name": 1, "email": "ada@example.com", "age": 36})

    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["status"], problem["instance"]) == (422, answer.headers["x-correlation-id"])
    assert {error["field"] for error in problem["errors"]} >= {"name"}


def test_email_twice_is_a_conflict(api: httpx.Client) -> None:
    """The second user with an address is refused."""
    new = ada()
    api.post("/users", json=new)

    answer = api.post("/users", json=new)

    assert answer.status_code == 409


def test_database_down_is_503_and_works_again_when_it_is_back(api: httpx.Client, local_cloud: RunningCloud) -> None:
    """The same warm functions go on, with no restart and nothing half written."""
    user, late = api.post("/users", json=ada()).json(), ada()
    local_cloud.stop_postgres()
    try:
        down = [api.get(f"/users/{user['id']}"), api.post("/users", json=late), api.post("/start-task")]
    finally:
        local_cloud.start_postgres()

    back = [api.get(f"/users/{user['id']}"), api.post("/users", json=late)]

    assert [answer.status_code for answer in down] == [503, 503, 503]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in down)
    assert [answer.status_code for answer in back] == [200, 201]
