"""Celery's API on the tasks of Decant: Celery code runs with its import changed.

    from decant.celery import Celery  # was: from celery import Celery

    celery = Celery("tasks", broker="redis://localhost:6379/0")

    @celery.task
    def long_task() -> str: ...

    long_task.delay()

Tasks are rows in PostgreSQL, and workers are those of `decant.worker`. The page "From Celery" lists what differs.
"""

from collections.abc import Callable
from typing import Any

from decant.celery import builtins, request, workers
from decant.celery.app import Celery, get_current
from decant.celery.canvas import (
    Signature,
    chain,
    chord,
    chunks,
    group,
    maybe_signature,
    signature,
    subtask,
    xmap,
    xstarmap,
)
from decant.celery.definition import task_from_function
from decant.celery.task import Task
from decant.celery.utils import uuid

__all__ = [
    "Celery",
    "Signature",
    "Task",
    "chain",
    "chord",
    "chunks",
    "current_app",
    "current_task",
    "group",
    "maybe_signature",
    "shared_task",
    "signature",
    "subtask",
    "uuid",
    "xmap",
    "xstarmap",
]

_ = (builtins, workers)  # the first registers its tasks, the second connects to the worker


class _Proxy:
    """Stands for an object that is looked up at every use."""

    def __init__(self, look_up: Callable[[], Any]) -> None:
        object.__setattr__(self, "_look_up", look_up)

    def _get_current_object(self) -> Any:
        return object.__getattribute__(self, "_look_up")()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get_current_object(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __bool__(self) -> bool:
        return bool(self._get_current_object())

    def __eq__(self, other: object) -> bool:
        return bool(self._get_current_object() == other)

    def __hash__(self) -> int:
        return hash(self._get_current_object())

    def __repr__(self) -> str:
        return repr(self._get_current_object())


def _current_task() -> Any:
    found = request.current()
    return None if found is None else found[0]


current_app: Any = _Proxy(get_current)
"""The app that was made or set last."""

current_task: Any = _Proxy(_current_task)
"""The task that runs now; false outside of a task."""


def shared_task(*args: Any, **options: Any) -> Any:
    """Make a function a task of the app that is current when it is called."""

    def define(
        function: Callable[..., Any], name: str | None = None, base: type[Task] | None = None, **given: Any
    ) -> Task:
        return task_from_function(None, function, name=name, base=base or Task, **given)

    if len(args) == 1 and callable(args[0]):
        return define(args[0], **options)
    return lambda function: define(function, **options)
