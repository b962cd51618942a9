"""Loggers of tasks, as in `celery.utils.log`."""

import logging

__all__ = ["get_logger", "get_task_logger"]


def get_task_logger(name: str) -> logging.Logger:
    """The logger of this name; its lines are written as all others, with the ids of task and request."""
    return logging.getLogger(name)


get_logger = get_task_logger
