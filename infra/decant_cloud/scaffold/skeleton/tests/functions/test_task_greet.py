"""The task `greet`."""

from decant.testing import Broker
from domain.tasks import greet


async def test_greet_returns_a_greeting(tasks: Broker) -> None:
    """A run completes the task."""
    job = await greet.delay("Ada")

    await tasks.run()

    assert await job.result == "Hello, Ada!"
