"""Metrics of tasks: their runs, retries and failures, and the age of the queues."""

import json
from typing import Any

import pytest

from decant.worker.execution import Deadline
from decant.worker.sweeper import sweep
from tests import work
from tests.worlds import deliver, execute

pytestmark = pytest.mark.usefixtures("database_url")


@pytest.fixture
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn metrics on."""
    monkeypatch.setenv("METRICS", "1")


def recorded(capsys: pytest.CaptureFixture[str], dimension: str) -> dict[str, dict[str, Any]]:
    """Values of the metrics that were written, by the value of a dimension."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return {
        line[dimension]: {each["Name"]: sum(line[each["Name"]]) for each in directive["Metrics"]}
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
    }


@pytest.mark.usefixtures("enabled")
async def test_runs_are_counted_by_task(capsys: pytest.CaptureFixture[str]) -> None:
    """A batch writes the runs of each task, with those that are retried and those that failed."""
    jobs = [await work.add.delay(1), await work.add.delay(2), await work.fail.delay(), await work.flaky.delay(1)]

    await deliver(jobs)

    assert recorded(capsys, "task") == {
        work.add.name: {"TaskRuns": 2},
        work.fail.name: {"TaskRuns": 1, "TaskFailures": 1},
        work.flaky.name: {"TaskRuns": 1, "TaskRetries": 1},
    }


@pytest.mark.usefixtures("enabled")
async def test_transactional_run_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A task whose outcome is recorded in its own transaction is a run too."""
    await execute("CREATE TABLE effect (name text NOT NULL)")
    job = await work.record.delay("once")

    await deliver([job])

    assert recorded(capsys, "task") == {work.record.name: {"TaskRuns": 1}}


@pytest.mark.usefixtures("enabled")
async def test_sweep_records_the_age_of_queues(capsys: pytest.CaptureFixture[str]) -> None:
    """The age is how long the task has been due that has waited for the longest time."""
    await work.add.delay(1)
    await execute("UPDATE decant.task SET eta = eta - interval '90 seconds'")

    await sweep(Deadline(30))

    assert recorded(capsys, "queue")["default"]["QueueAge"] == pytest.approx(90, abs=30)


async def test_metrics_are_off_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Without METRICS, neither a run nor a sweep writes a metric."""
    await deliver([await work.add.delay(1)])
    await sweep(Deadline(30))

    assert recorded(capsys, "task") == {}
