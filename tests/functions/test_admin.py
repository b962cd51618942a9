"""The admin routes through their handlers."""

import pytest

from decant import loop
from decant.tasks import task
from decant.testing import Broker
from decant.workflows import WorkflowRun, step, wait_for, workflow
from decant_cloud.invocation import Call, ReadEvent, Response, Token


@task
async def sample() -> str:
    """Return a text, as a task that the routes list."""
    return "done"


@task(max_retries=0)
async def fail() -> None:
    """Raise an error."""
    raise ValueError("no")


async def double(number: int) -> int:
    """Return twice the number, as the function of a step."""
    return 2 * number


async def check(number: int) -> int:
    """Raise an error for a negative number, as the function of a step."""
    if number < 0:
        raise ValueError("negative")
    return number


@workflow(max_retries=0)
async def calculate(number: int) -> int:
    """Two steps, and a signal."""
    doubled = await step(double, number)
    await step(check, number)
    return doubled + await wait_for("more", int)


@pytest.fixture
def ask(call: Call, event: ReadEvent, token: Token) -> Call:
    """Call an admin route with a token of its scope."""

    def ask_route(name: str, **changes: str) -> Response:
        headers = {"Authorization": f"Bearer {token('tasks:admin')}", "Content-Type": "application/json"}
        return call(name, event(name, headers=headers, **changes))

    return ask_route


ADMIN = ["queues_list", "tasks_list", "tasks_redrive", "tasks_revoke", "workflows"]


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


async def start_run(tasks: Broker, number: int) -> WorkflowRun:
    """Start a run, and run it until it waits or fails."""
    run = await calculate.start(number)
    await tasks.run()
    return run


class Runs:
    """The routes of a run.

    Args:
        ask: Calls an admin route.
        run: The run.
    """

    def __init__(self, ask: Call, run: WorkflowRun | str) -> None:
        self._ask = ask
        self._id = getattr(run, "id", run)

    def show(self) -> Response:
        """GET /workflows/{run_id}."""
        return self._ask("workflows", path=f"/workflows/{self._id}")

    def post(self, action: str, body: str = "") -> Response:
        """POST to a path below the run."""
        return self._ask("workflows", method="POST", path=f"/workflows/{self._id}/{action}", body=body)


def test_workflow_is_shown_with_its_steps(ask: Call, tasks: Broker) -> None:
    """The response has the state of the run, and its steps in the order of their calls."""
    run = loop.run(start_run(tasks, 3))

    response = Runs(ask, run).show()

    assert response.status == 200
    shown = response.json()
    assert (shown["id"], shown["name"], shown["state"]) == (run.id, calculate.name, "PENDING")
    assert [(recorded["name"], recorded["kind"], recorded["result"]) for recorded in shown["steps"]] == [
        ("double", "step", 6),
        ("check", "step", 3),
    ]


def test_workflow_receives_a_signal(ask: Call, tasks: Broker) -> None:
    """The payload is the body; a finished run is a conflict."""
    run = loop.run(start_run(tasks, 3))
    runs = Runs(ask, run)

    sent = runs.post("signals/more", "10")
    loop.run(tasks.run())

    assert (sent.status, runs.show().json()["result"]) == (204, 16)
    assert runs.post("signals/more", "10").status == 409


def test_workflow_is_forked_before_a_step(ask: Call, tasks: Broker) -> None:
    """The new run has the results before the step, and the replaced arguments."""
    run = loop.run(start_run(tasks, 3))

    forked = Runs(ask, run).post("fork", '{"before": "check", "args": {"number": 5}}')
    loop.run(tasks.run())

    assert (forked.status, forked.headers["location"]) == (202, f"workflows/{forked.json()['id']}")
    steps = Runs(ask, forked.json()["id"]).show().json()["steps"]
    assert [(recorded["name"], recorded["result"]) for recorded in steps] == [("double", 6), ("check", 5)]


def test_failed_workflow_is_rewound(ask: Call, tasks: Broker) -> None:
    """The run continues at the step that failed; a run that has not failed is a conflict."""
    run = loop.run(start_run(tasks, -1))
    runs = Runs(ask, run)

    rewound = runs.post("rewind", '{"before": "check"}')

    assert (rewound.status, rewound.json()["state"]) == (200, "PENDING")
    assert [recorded["name"] for recorded in runs.show().json()["steps"]] == ["double"]
    assert runs.post("rewind").status == 409


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        pytest.param("signals/more", "{", 400, id="no JSON"),
        pytest.param("signals/more", '"' + "x" * 300_000 + '"', 422, id="payload too long"),
        pytest.param("signals/%00", "1", 422, id="topic with NUL"),
        pytest.param("fork", '{"before": "other"}', 404, id="fork before an unknown step"),
        pytest.param("fork", '{"args": {"other": 1}}', 422, id="unknown argument"),
        pytest.param("fork", '{"args": {"number": "x"}}', 422, id="argument of a wrong type"),
        pytest.param("fork", '{"other": 1}', 422, id="unknown option"),
        pytest.param("rewind", '{"n": -1}', 422, id="negative number"),
        pytest.param("other", "", 404, id="unknown action"),
    ],
)
def test_workflow_rejects_invalid_requests(ask: Call, tasks: Broker, action: str, body: str, status: int) -> None:
    """Nothing is changed."""
    run = loop.run(start_run(tasks, 3))
    before = Runs(ask, run).show().json()

    response = Runs(ask, run).post(action, body)

    assert response.status == status
    assert Runs(ask, run).show().json() == before


@pytest.mark.parametrize("run_id", ["0193a5b0-6c1e-7c3a-9f5d-2f1f0c7a4e11", "other"])
@pytest.mark.parametrize("action", [None, "signals/more", "fork", "rewind"])
@pytest.mark.usefixtures("tasks")
def test_unknown_workflow_is_not_found(ask: Call, run_id: str, action: str | None) -> None:
    """All routes of a run that does not exist return 404."""
    runs = Runs(ask, run_id)

    assert (runs.show() if action is None else runs.post(action)).status == 404
