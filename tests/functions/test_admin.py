"""The admin routes through their handlers."""

import pytest

from decant.tasks import task
from decant.testing import Broker
from decant_cloud.invocation import Call, ReadEvent, Response, Token


@task
async def sample() -> str:
    """Return a text, as a task that the routes list."""
    return "done"


@pytest.fixture
def ask(call: Call, event: ReadEvent, token: Token) -> Call:
    """Call an admin route with a token of its scope."""

    def ask_route(name: str, **changes: str) -> Response:
        return call(name, event(name, headers={"Authorization": f"Bearer {token('tasks:admin')}"}, **changes))

    return ask_route


@pytest.mark.parametrize("name", ["queues_list", "tasks_list", "tasks_redrive", "tasks_revoke"])
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
def test_tasks_list_returns_a_page(ask: Call) -> None:
    """Without tasks the page is empty."""
    response = ask("tasks_list", query="count=10")

    assert (response.status, response.json()["tasks"]) == (200, [])


@pytest.mark.usefixtures("tasks")
def test_queues_list_returns_counts(ask: Call) -> None:
    """The default queue is listed."""
    assert ask("queues_list").status == 200
