"""Every route, through the gateway, over HTTP."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests import upstream
from tests.e2e.running import RunningCloud


@pytest.fixture(scope="module")
def api(local_cloud: RunningCloud) -> Any:
    """An HTTP client of the API."""
    with httpx.Client(base_url=local_cloud.api_url, timeout=30) as client:
        yield client


def ada() -> dict[str, str]:
    """A user whom nobody has created yet."""
    return {"name": "Ada Lovelace", "email": f"{uuid4()}@example.com"}


def test_async_waits_without_holding_up_others(api: httpx.Client) -> None:
    """Requests that wait at the same time take as long as one."""
    api.get("/async", params={"seconds": 0})
    started = time.monotonic()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: api.get("/async", params={"seconds": 2}), range(4)))

    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "Async Response")] * 4
    assert time.monotonic() - started < 8


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


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "given", "status"),
    [
        ("GET", "/async", {"params": {"seconds": "abc"}}, 422),  # no number
        ("GET", "/async", {"params": {"seconds": "21"}}, 422),  # out of range
        ("GET", "/fetch-data", {"params": {"ids": "1,x"}}, 422),  # malformed
        ("GET", "/fetch-data", {"params": {"ids": ",".join(["1"] * 51)}}, 422),  # too many
        ("POST", "/users", {}, 400),  # no body
        ("POST", "/users", {"content": b"{", "headers": JSON}, 400),  # broken JSON
        ("POST", "/users", {"content": b"{}"}, 415),  # no Content-Type
        ("POST", "/users", {"json": {"name": 1, "email": "ada@example.com"}}, 422),  # wrong type
        ("POST", "/users", {"json": {"name": "Ada"}}, 422),  # a field missing
        ("POST", "/users", {"json": {"name": "Ada", "email": "ada@example.com", "age": 36}}, 422),  # one too many
        ("GET", f"/users/{uuid4()}", {}, 404),  # nobody's id
        ("GET", "/users/42", {}, 404),  # no id
        ("POST", "/start-task", {"content": b"{", "headers": JSON}, 400),  # broken JSON
        ("POST", "/start-task", {"json": {"seconds": "long"}}, 422),  # wrong type
        ("GET", f"/tasks/{uuid4()}", {}, 404),  # no task's id
        ("GET", "/tasks/42", {}, 404),  # no id
    ],
)
def test_bad_input_is_answered_with_a_problem(
    api: httpx.Client, method: str, path: str, given: dict[str, Any], status: int
) -> None:
    """Every mistake of a client gets a problem document that says what it was."""
    answer = api.request(method, path, **given)

    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["instance"]) == (status, answer.headers["x-correlation-id"])
    if status == 422:
        assert all(error["field"] and error["detail"] for error in problem["errors"])


@pytest.mark.parametrize("length_mib", [2, 7, 11])
def test_body_over_a_limit_is_413(api: httpx.Client, length_mib: int) -> None:
    """Over BODY_LIMIT_BYTES, over Lambda's limit of events, and over API Gateway's limit of requests."""
    response = api.post("/users", content=b"x" * length_mib * 2**20, headers=JSON)

    assert response.status_code == 413


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
