"""Background work: from the route that starts it, through SQS, to the route that returns its result."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.e2e.running import LogLine, RunningCloud

PATIENCE_S = 120


@pytest.fixture(scope="module")
def api(local_cloud: RunningCloud) -> Any:
    """An HTTP client of the API."""
    with httpx.Client(base_url=local_cloud.api_url, timeout=120) as client:
        yield client


def wait_for[T](look: Callable[[], T | None], what: str) -> T:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.05)
    pytest.fail(f"{what} did not come within {PATIENCE_S} s")


def finished(api: httpx.Client, task_id: str) -> dict[str, Any]:
    """The task's status once it is done."""

    def look() -> dict[str, Any] | None:
        status: dict[str, Any] = api.get(f"/tasks/{task_id}").json()
        return status if status["state"] in {"SUCCESS", "FAILURE", "REVOKED"} else None

    return wait_for(look, f"The end of task {task_id}")


def insert_task(local_cloud: RunningCloud, name: str, queue: str = "default", **kwargs: Any) -> str:
    """Write a row as a deployment with more tasks would; its id."""
    task_id = str(uuid4())
    with psycopg.connect(local_cloud.postgres_url.replace("+asyncpg", "")) as connection:
        connection.execute(
            "INSERT INTO decant.task (id, name, queue, args, kwargs, eta) VALUES (%s, %s, %s, '[]', %s, now())",
            (task_id, name, queue, json.dumps(kwargs)),
        )
    return task_id


def send(local_cloud: RunningCloud, body: str, queue: str = "Default") -> None:
    """Put a message on one of the tasks' queues."""
    local_cloud.client("sqs").send_message(QueueUrl=local_cloud.outputs[f"{queue}QueueUrl"], MessageBody=body)


def warnings(local_cloud: RunningCloud, since: int) -> list[LogLine]:
    """The worker's warnings, the first so many lines of its log left out."""
    return [line for line in local_cloud.logs("TaskWorker")[since:] if line.fields.get("level") == "WARNING"]


@contextmanager
def quick_redelivery(local_cloud: RunningCloud) -> Iterator[None]:
    """Let messages that failed come again after a second."""
    sqs, queue = local_cloud.client("sqs"), local_cloud.outputs["DefaultQueueUrl"]
    before = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    # The poll that is waiting now began with the old time-out: end it with a message that is dropped.
    lines = len(local_cloud.logs("TaskWorker"))
    send(local_cloud, "no JSON")
    wait_for(lambda: warnings(local_cloud, lines), "The warning")
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=before)


def test_task_runs_and_its_result_is_returned(api: httpx.Client) -> None:
    """A task that a route enqueues runs behind SQS, and another route returns its result."""
    started = api.post("/start-task", json={"seconds": 0})

    status = finished(api, started.json()["task_id"])

    assert started.status_code == 202
    assert (status["state"], status["result"], status["error"]) == ("SUCCESS", "Task Complete", None)


def test_task_is_reported_while_it_runs(api: httpx.Client) -> None:
    """A task that is not done yet has a state, and no result."""
    task_id = api.post("/start-task", json={"seconds": 3}).json()["task_id"]

    status = wait_for(
        lambda: status if (status := api.get(f"/tasks/{task_id}").json())["state"] == "STARTED" else None,
        "The task's start",
    )

    assert (status["state"], status["result"]) == ("STARTED", None)


def test_task_of_another_queue_runs_in_its_own_function(api: httpx.Client, local_cloud: RunningCloud) -> None:
    """What takes minutes does not stand before what takes milliseconds."""
    task_id = insert_task(local_cloud, "domain.tasks.long_task", "slow", seconds=0)
    send(local_cloud, json.dumps({"id": task_id}), "Slow")

    status = finished(api, task_id)

    assert status["state"] == "SUCCESS"
    assert [line for line in local_cloud.logs("SlowWorker") if line.fields.get("task_id") == task_id]


def test_correlation_id_leads_from_the_request_to_the_workers_lines(
    api: httpx.Client, local_cloud: RunningCloud
) -> None:
    """One id finds every line about one piece of work, of every function."""
    correlation_id = f"order-{uuid4()}"

    started = api.post("/start-task", json={"seconds": 0}, headers={"X-Correlation-Id": correlation_id})
    finished(api, started.json()["task_id"])

    assert started.headers["x-correlation-id"] == correlation_id
    assert wait_for(
        lambda: [
            line for line in local_cloud.logs("TaskWorker") if line.fields.get("correlation_id") == correlation_id
        ],
        "The worker's line",
    )


def test_task_is_kept_when_sqs_is_down(api: httpx.Client, local_cloud: RunningCloud) -> None:
    """The answer is 202 all the same: the task is stored, and waits to be published."""
    with local_cloud.sqs_unreachable():
        started = api.post("/start-task", json={"seconds": 0})
        status = api.get(f"/tasks/{started.json()['task_id']}")

    assert started.status_code == 202
    assert (status.status_code, status.json()["state"]) == (200, "PENDING")


def test_message_that_leads_nowhere_is_dropped_with_a_warning(api: httpx.Client, local_cloud: RunningCloud) -> None:
    """It is logged once and leaves the queue; the tasks after it run."""
    before = len(local_cloud.logs("TaskWorker"))
    send(local_cloud, "no JSON")

    wait_for(lambda: warnings(local_cloud, before), "The warning")
    status = finished(api, api.post("/start-task", json={"seconds": 0}).json()["task_id"])

    assert [line.fields["message"].endswith("dropped") for line in warnings(local_cloud, before)] == [True]
    assert status["state"] == "SUCCESS"


def test_message_for_an_unknown_task_ends_in_the_dead_letters(api: httpx.Client, local_cloud: RunningCloud) -> None:
    """A worker without the task leaves it for another worker, five times at most; then it has failed."""
    task_id = insert_task(local_cloud, "task.of.tomorrow")
    with quick_redelivery(local_cloud):
        send(local_cloud, json.dumps({"id": task_id}))
        status = finished(api, task_id)

    assert (status["state"], status["error"]["type"]) == ("FAILURE", "DeadLettered")
    assert "has no task of this name" in status["error"]["message"]
