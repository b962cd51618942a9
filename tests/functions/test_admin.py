"""The admin routes through their handlers."""

import pytest

from decant import loop
from decant.tasks import task
from decant.testing import Broker
from decant_cloud.invocation import Call, ReadEvent, Response, Token


@task
async def sample() -> str:
    """Return a text, as a task that the routes list."""
    return "done"


@task(max_retries=0)
async def fail() -> None:
    """Raise an error."""
    raise ValueError("no")


@pytest.fixture
def ask(call: Call, event: ReadEvent, token: Token) -> Call:
    """Call an admin route with a token of its scope."""

    def ask_route(name: str, **changes: str) -> Response:
        return call(name, event(name, headers={"Authorization": f"Bearer {token('tasks:admin')}"}, **changes))

    return ask_route


ADMIN = ["queues_list", "tasks_list", "tasks_redrive", "tasks_revoke"]


@pytest.mark.parametrize("name", ADMIN)
@pytest.mark.usefixtures("tasks", "token")
def test_admin_route_requires_a_token(call: Call, event: ReadEvent, name: str) -> None:
    """A request without a valid token gets 401."""
    assert call(name, event(name)).status == 401


@pytest.mark.parametrize("name", ADMIN)
@pytest.mark.usefixtures("tasks")
def test_admin_route_rejects_a_token_without_its_scope(call: Call, event: ReadEvent, token: Token, name: str) -> None:
    """A token of another scope gets 403."""
    response = call(name, event(name, headers={"Authorization": f"Bearer {token('other')}"}))

    assert response.status == 403


async def test_tasks_can_be_enqueued_for_the_admin_routes(tasks: Broker) -> None:
    """The task that the other tests list runs."""
    job = await sample.delay()

    await tasks.run()

    assert await job.result == "done"


@pytest.mark.usefixtures("tasks")
def test_tasks_list_returns_pages(ask: Call) -> None:
    """Tasks are listed newest first, with the filters of the query; `before` leads to the next page."""
    jobs = [sample.delay() for _ in range(3)]

    first = ask("tasks_list", query="state=PENDING&count=2").json()
    second = ask("tasks_list", query=f"state=PENDING&count=2&before={first['before']}").json()

    listed = [each["id"] for page in (first, second) for each in page["tasks"]]
    assert listed == sorted((job.id for job in jobs), reverse=True)
    assert second["before"] is None


@pytest.mark.parametrize("query", ["state=LOST", "count=0", "count=201", "before=42", "other=1"])
@pytest.mark.usefixtures("tasks")
def test_tasks_list_rejects_invalid_filters(ask: Call, query: str) -> None:
    """The response names the field."""
    response = ask("tasks_list", query=query)

    assert (response.status, response.json()["errors"][0]["field"]) == (422, query.partition("=")[0])


@pytest.mark.usefixtures("tasks")
def test_tasks_revoke_returns_the_state(ask: Call) -> None:
    """The task is revoked; an unknown one is not found."""
    job = sample.delay()

    revoked = ask("tasks_revoke", path=f"/tasks/{job.id}/revoke", body="")

    assert (revoked.status, revoked.json()["state"]) == (200, "REVOKED")
    assert ask("tasks_revoke").status == 404


@pytest.mark.usefixtures("tasks")
def test_tasks_redrive_returns_the_ids(ask: Call, tasks: Broker) -> None:
    """A failed task that meets the conditions runs again."""
    job = fail.delay()
    loop.run(tasks.run())

    response = ask("tasks_redrive", body='{"error": "ValueError"}')

    assert (response.status, response.json()) == (200, {"ids": [job.id]})


@pytest.mark.parametrize("body", ["{}", '{"since": "2026-11-22T09:00:00"}', '{"ids": ["42"]}', '{"other": 1}'])
@pytest.mark.usefixtures("tasks")
def test_tasks_redrive_requires_conditions(ask: Call, body: str) -> None:
    """A request without a valid condition runs nothing again."""
    assert ask("tasks_redrive", body=body).status == 422


@pytest.mark.usefixtures("tasks")
def test_queues_list_returns_counts(ask: Call) -> None:
    """The default queue is listed with the tasks that are due."""
    sample.delay()

    response = ask("queues_list")

    assert response.status == 200
    assert [(each["queue"], each["due"]) for each in response.json()["queues"]] == [("default", 1)]
