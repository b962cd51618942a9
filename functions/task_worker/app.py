"""SQS: runs the tasks of the default queue."""

import domain.tasks  # noqa: F401  # registers the tasks with the worker
from decant.worker import lambda_handler

handler = lambda_handler()
