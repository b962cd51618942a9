"""The apps and tasks of the process, and the modules that workers import."""

import importlib
import logging
from typing import TYPE_CHECKING, Any, NoReturn

from decant.celery.exceptions import AlreadyRegistered, NotRegistered
from decant.tasks import registry as registered

if TYPE_CHECKING:
    from decant.celery.app import Celery
    from decant.celery.task import Task

__all__ = ["apps", "current", "load", "register", "tasks"]

log = logging.getLogger("decant.celery")


class _Current:
    app: Any = None


current = _Current()
"""The current app of the process."""

apps: "list[Celery]" = []


class _Tasks(dict[str, Any]):
    def __missing__(self, name: str) -> NoReturn:
        raise NotRegistered(f"No imported module defines the task {name!r}. Import it, or add it to TASK_MODULES.")


tasks: "dict[str, Task]" = _Tasks()
"""Tasks of all apps by name."""


def register(task: "Task") -> None:
    """Add a task, also to those that workers run.

    Raises:
        AlreadyRegistered: another function is a task of this name.
    """
    try:
        registered.register(task.definition)
    except ValueError as error:
        raise AlreadyRegistered(f"{error}. Give one of them another name: @app.task(name=…)") from error
    tasks[task.definition.name] = task


@registered.on_load
def load() -> None:
    """Import the modules that apps name, and let apps add their periodic tasks; called where workers start."""
    from decant.celery.periodic import entries  # it imports this module

    done = set[str]()
    while missing := [name for app in apps for name in app.modules if name not in done]:
        for name in missing:
            importlib.import_module(name)
        done.update(missing)
    for app in apps:
        for name in app.packages:
            _import_if_exists(name)
        app.finalize()
        for entry in entries(app):
            registered.schedule(entry)


def _import_if_exists(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
