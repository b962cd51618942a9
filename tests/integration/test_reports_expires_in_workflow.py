"""`expires` of a task in a workflow counts from the moment at which the task can start, as `countdown` does.

Related report: celery/celery 591.
"""

import pytest

from decant.tasks import AsyncResult, State, chain, chord, task
from tests import work
from tests.worlds import World

pytestmark = pytest.mark.usefixtures("new_tasks")


async def test_expires_of_the_second_part_of_a_chain(world: World) -> None:
    """The first part may take longer than the second part's `expires`."""
    job = await chain(work.add.s(1, 2).set(countdown=60), work.add.s(10).set(expires=30)).delay()
    await world.advance(61)

    await world.run()

    assert isinstance(job, AsyncResult)
    assert await job.state is State.SUCCESS


async def test_expires_in_the_options_of_a_chord_body(world: World) -> None:
    """The `expires` of the body's own task options counts from the end of the last member."""

    @task(name="reports.total", expires=30)
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    job = await chord([work.add.s(1, 2).set(countdown=60), work.add.s(3, 4)], total.s()).delay()
    await world.advance(61)

    await world.run()

    assert isinstance(job, AsyncResult)
    assert await job.state is State.SUCCESS
