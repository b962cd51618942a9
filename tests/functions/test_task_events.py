"""GET /tasks/{task_id}/events through its handler, which responds with all events at once."""

import json

import pytest

from decant import loop
from decant.tasks import AsyncResult, task
from decant.testing import Broker
from decant_cloud.invocation import Call, ReadEvent


@task
async def sample() -> str:
    """Return a text, as a task whose events are read."""
    return "done"


def test_task_events_end_with_the_task(call: Call, event: ReadEvent, tasks: Broker) -> None:
    """A task that has ended has one event, its final state."""

    async def run() -> AsyncResult:
        job = await sample.delay()
        await tasks.run()
        return job

    job = loop.run(run())

    response = call("task_events", event("task_events", path=f"/tasks/{job.id}/events"))

    name, data = response.text.rstrip("\n").split("\n")
    shown = json.loads(data.removeprefix("data: "))
    assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
    assert (name, shown["state"], shown["result"]) == ("event: status", "SUCCESS", "done")


@pytest.mark.usefixtures("tasks")
def test_task_events_of_an_unknown_task_are_not_found(call: Call, event: ReadEvent) -> None:
    """The status is known before the first event."""
    assert call("task_events", event("task_events")).status == 404
