"""The tasks of `tests.benchmarks.tasks.celery_app`, with the import changed."""

import time

from decant.celery import Celery

__all__ = ["app", "noop", "wait"]

app = Celery("bench")


@app.task
def wait(seconds: float) -> float:
    """Wait, as for another service."""
    time.sleep(seconds)
    return seconds


@app.task
def noop() -> None:
    """Do nothing."""
