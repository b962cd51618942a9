"""A completion that PostgreSQL rejects does not affect the other completions of its batch.

Reports: riverqueue/river 258, aws-powertools/powertools-lambda-python 92.
"""

from datetime import timedelta
from typing import Any

import pytest

from decant.tasks import Run, State, task
from tests import work
from tests.worlds import deliver

pytestmark = [
    pytest.mark.usefixtures("database_url", "new_tasks"),
]


@pytest.mark.parametrize(
    "retry",
    [{"countdown": 1e13}, {"countdown": float("inf")}, {"countdown": 1, "max_retries": 2**40}],
    ids=["delay beyond any date", "infinite delay", "number of retries beyond an integer"],
)
async def test_other_tasks_of_the_batch_are_completed(retry: dict[str, Any]) -> None:
    """Nine tasks end in SUCCESS beside one that asks for an impossible retry."""

    @task(name="reports.retries", bind=True)
    async def retries(self: Run) -> None:
        self.retry(**retry)

    jobs = await work.add.delay_many([(number,) for number in range(9)])

    await deliver([await retries.delay(), *jobs])

    assert [await job.state for job in jobs] == [State.SUCCESS] * 9


@pytest.mark.parametrize(
    "countdown",
    [
        pytest.param(1e13, id="delay beyond any date"),
        pytest.param(float("inf"), id="infinite delay"),
        pytest.param(timedelta(minutes=5), id="timedelta"),
        pytest.param("10", id="text"),
    ],
)
async def test_task_with_an_impossible_retry_fails_or_is_retried(countdown: Any) -> None:
    """The task ends with the error or is retried; its message is not delivered again."""

    @task(name="reports.retries", bind=True, max_retries=1)
    async def retries(self: Run) -> None:
        self.retry(countdown=countdown)

    job = await retries.delay()

    redelivered = await deliver([job])

    assert (redelivered, await job.state) in [([], State.FAILURE), ([], State.RETRY)]


async def test_impossible_delay_in_the_options_is_rejected_or_harmless() -> None:
    """The decorator rejects the delay, or the other tasks of the batch end in SUCCESS."""
    options: dict[str, Any] = {"autoretry_for": (ValueError,), "default_retry_delay": 1e13}

    async def fails() -> None:
        raise ValueError

    try:
        failing = task(name="reports.fails", **options)(fails)
    except ValueError:
        return
    jobs = await work.add.delay_many([(number,) for number in range(3)])

    await deliver([await failing.delay(), *jobs])

    assert [await job.state for job in jobs] == [State.SUCCESS] * 3
