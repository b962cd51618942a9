"""The same two tasks as a Celery app; run by Celery's own worker, so it imports nothing of this repository."""

import os
import time

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.update(worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def wait(seconds: float) -> float:
    """Waits, as for another service."""
    time.sleep(seconds)
    return seconds


@app.task  # type: ignore[untyped-decorator]  # Celery has no types
def noop() -> None:
    """Nothing."""
