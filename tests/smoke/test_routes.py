"""What `decant smoke` tests of this bundle beyond its GET routes and its queue."""

import time
import uuid

import httpx


def test_database_is_read(stage: httpx.Client) -> None:
    """A user that does not exist is looked up in the database."""
    assert stage.get(f"users/{uuid.uuid4()}").status_code == 404


def test_task_of_a_route_succeeds(stage: httpx.Client) -> None:
    """The route enqueues a task, and its status ends in SUCCESS."""
    task_id = stage.post("start-task", json={"seconds": 0}).json()["task_id"]

    while (state := stage.get(f"tasks/{task_id}").json()["state"]) in {"PENDING", "STARTED", "RETRY"}:
        time.sleep(0.2)

    assert state == "SUCCESS"
