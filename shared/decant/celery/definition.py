"""Definition of tasks from functions, and the options of tasks that have no effect or do not exist."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from decant.celery import loading
from decant.celery.exceptions import Unsupported, UnsupportedWarning

if TYPE_CHECKING:
    from decant.celery.task import Task

__all__ = ["OPTIONS_WITHOUT_EFFECT", "UNSUPPORTED_OPTIONS", "check_options", "task_from_function"]

OPTIONS_WITHOUT_EFFECT = {
    "acks_on_failure_or_timeout": "A failed task is not delivered again; use autoretry_for.",
}
UNSUPPORTED_OPTIONS = {
    "pydantic": "Validate the arguments in the task, or use `decant.tasks.task`, which checks annotations.",
    "Strategy": "Remove the option; PostgreSQL starts tasks.",
    "Request": "Remove the option; use before_start and after_return.",
}


def task_from_function(
    app: Any, fun: Callable[..., Any], *, name: str | None, base: "type[Task]", **options: Any
) -> "Task":
    """Make a task of a function: an instance of a class of its own, whose attributes are the options."""
    bind = options.pop("bind", False)
    if reason := next((key for key in options if key in UNSUPPORTED_OPTIONS), None):
        raise Unsupported(f"@task({reason}=…): {UNSUPPORTED_OPTIONS[reason]}")
    owner = app
    if app is None:
        from decant.celery.app import get_current

        owner = get_current()
    attributes = {
        "name": name or owner.gen_task_name(fun.__name__, fun.__module__),
        "run": fun if bind else staticmethod(fun),
        "__doc__": fun.__doc__,
        "__module__": fun.__module__,
        "__qualname__": fun.__qualname__,
        "__wrapped__": fun,
        "_app": app,
        "abstract": False,
        **options,
    }
    task: Task = type(fun.__name__, (base,), attributes)()
    task.bind(owner)
    setattr(type(task), "_app", app)  # noqa: B010  # a shared task belongs to none
    loading.register(task)
    return task


def check_options(task: "Task") -> None:
    """Check the options of a task.

    Raises:
        Unsupported: an option cannot be used.
    """
    if task.serializer not in {None, "json"}:
        raise Unsupported(f"{task.name}: serializer={task.serializer!r}: arguments are JSON. Remove the option.")
    for option, instead in OPTIONS_WITHOUT_EFFECT.items():
        if getattr(task, option, None):
            message = f"{task.name}: the option {option} has no effect. {instead}"
            warnings.warn(message, UnsupportedWarning, stacklevel=6)
