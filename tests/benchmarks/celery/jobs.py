"""The tasks of `tests.benchmarks.tasks.celery_app`, with the import changed."""

import asyncio
import time

from decant.celery import Celery

__all__ = ["app", "noop", "wait", "wait_async"]

app = Celery("bench")


@app.task
def wait(seconds: float) -> float:
    """Wait, as for another service."""
    time.sleep(seconds)
    return seconds


@app.task
async def wait_async(seconds: float) -> float:
    """Wait on the event loop."""
    await asyncio.sleep(seconds)
    return seconds


@app.task
def noop() -> None:
    """Do nothing."""
