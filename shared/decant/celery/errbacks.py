"""Error callbacks: those with several parameters receive the failed task's request, its error and its traceback."""

import inspect
from typing import TYPE_CHECKING, Any
from uuid import UUID

from decant.celery.blocking import wait
from decant.celery.outcome import seen
from decant.celery.request import Context

if TYPE_CHECKING:
    from decant.celery.task import Task

__all__ = ["with_failure"]


def with_failure(task: "Task", args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of an error callback, in place of the failed task's id and the callback's own arguments.

    Source: celery/backends/base.py, `_call_task_errbacks`.
    """
    kinds = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    parameters = inspect.signature(task.run).parameters.values()
    variadic = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    if not variadic and sum(parameter.kind in kinds for parameter in parameters) <= 1:
        return args
    failed_id, *rest = args
    failed = wait(seen(UUID(failed_id)))
    request = Context(id=failed_id, task=failed.name, retries=failed.retries or 0, called_directly=False)
    return (request, failed.value, failed.traceback, *rest)
