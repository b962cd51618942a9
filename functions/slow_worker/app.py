"""SQS: runs the tasks of the slow queue, which may take minutes."""

import domain.tasks  # noqa: F401  # registers the tasks with the worker
from decant.worker import lambda_handler

handler = lambda_handler()
