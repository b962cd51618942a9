"""Loggers of tasks, as in `celery.utils.log`."""

import logging

__all__ = ["get_logger", "get_task_logger"]


def get_task_logger(name: str) -> logging.Logger:
    """The logger of this name below `celery.task`; its lines have the ids of task and request, as all others."""
    logger = logging.getLogger(name)
    logger.parent = logging.getLogger("celery.task")
    return logger


get_logger = get_task_logger
