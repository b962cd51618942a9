"""The console through its handler."""

import json
from collections.abc import Callable

import pytest

from decant.tasks import task
from decant_cloud.invocation import Call, ReadEvent, Response, Token


@task(name="console.sample")
async def sample() -> str:
    """Return a text, as a task that the console lists."""
    return "done"


type Ask = Callable[..., Response]


@pytest.fixture
def ask(call: Call, event: ReadEvent, token: Token) -> Ask:
    """Send a request to the console with a token of the given scope."""

    def send(path: str, scope: str = "tasks:read", method: str = "GET", **changes: str) -> Response:
        headers = {"Authorization": f"Bearer {token(scope)}", "Content-Type": "application/json"}
        given = event("console", path=f"/console{path}", headers=headers, **changes)
        return call("console", given | {"httpMethod": method})

    return send


READ = ["scopes", "overview", "statistics", "tasks", "tasks/count", "workflows", "schedules"]


def test_page_loads_its_files_alone(call: Call, event: ReadEvent) -> None:
    """The page needs no token; its policy permits no inline scripts or styles, and no other hosts."""
    page = call("console", event("console"))
    script = call("console", event("console", path="/console/app.js"))

    assert (page.status, script.status) == (200, 200)
    assert "script-src 'self'; style-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "javascript" in script.headers["content-type"]
    assert call("console", event("console", path="/console/app.py")).status == 404


@pytest.mark.parametrize("path", READ)
@pytest.mark.usefixtures("token")
def test_route_requires_a_token(call: Call, event: ReadEvent, token: Token, path: str) -> None:
    """A request without a token gets 401, and one without a scope of tasks 403."""
    other = {"Authorization": f"Bearer {token('other')}"}

    assert call("console", event("console", path=f"/console/api/{path}")).status == 401
    assert call("console", event("console", path=f"/console/api/{path}", headers=other)).status == 403


@pytest.mark.usefixtures("database_url")
def test_routes_return_json_to_both_scopes(ask: Ask) -> None:
    """Each route responds, and again with 304 to its ETag."""
    job = sample.delay()
    paths = [*READ, f"tasks/{job.id}", f"tasks/{job.id}/logs", "tasks?state=open&name=console.sample"]

    for scope in ("tasks:read", "tasks:admin"):
        found = {}
        for path in paths:
            route, _, query = path.partition("?")
            found[path] = ask(f"/api/{route}", scope, query=query)
        assert {path: each.status for path, each in found.items()} == dict.fromkeys(paths, 200)
        assert found["scopes"].json() == {"admin": scope == "tasks:admin"}
        assert [each["id"] for each in found[paths[-1]].json()["tasks"]] == [job.id]


@pytest.mark.parametrize("query", ["state=LOST", "before=42", "since=2026-11-22T09:00:00", "other=1"])
def test_invalid_conditions_are_rejected(ask: Ask, query: str) -> None:
    """The response names the field."""
    response = ask("/api/tasks", query=query)

    assert (response.status, response.json()["errors"][0]["field"]) == (422, query.partition("=")[0])


@pytest.mark.usefixtures("database_url")
def test_actions_require_the_scope_to_act(ask: Ask) -> None:
    """Tasks, queues and schedules are changed by tokens with the second scope alone."""
    job = sample.delay()
    bodies = {
        "tasks/actions": {"action": "cancel", "ids": [job.id]},
        "queues": {"name": "default", "action": "pause"},
        "schedules": {"key": "none", "action": "pause"},
    }

    def post(path: str, scope: str) -> Response:
        return ask(f"/api/{path}", scope, body=json.dumps(bodies[path]), method="POST")

    assert [post(path, "tasks:read").status for path in bodies] == [403, 403, 403]
    assert post("tasks/actions", "tasks:admin").json() == {"changed": 1, "before": None}
    assert post("queues", "tasks:admin").json() == {"paused": ["default"]}
    assert post("schedules", "tasks:admin").status == 404
