"""Once a minute: publishes waiting tasks, retries tasks of lost workers, inserts periodic tasks, deletes old tasks."""

import domain.tasks  # noqa: F401  # registers the tasks and their schedules
from decant.worker.sweeper import lambda_handler

handler = lambda_handler()
