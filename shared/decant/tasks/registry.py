"""The `@task` decorator, and the tasks of all imported modules by name."""

from collections.abc import Callable
from typing import Any, overload

from decant.tasks.options import TaskOptions
from decant.tasks.task import Task
from decant.tasks.workflow import JOIN

__all__ = ["join", "probe", "register", "registry", "task"]

registry: dict[str, Task[..., Any]] = {}


def register[T: Task[..., Any]](new: T) -> T:
    """Add a task.

    Raises:
        ValueError: another function is a task of this name.
    """
    known = registry.get(new.name)
    if known is not None and _origin(known) != _origin(new):
        raise ValueError(f"two functions are tasks named {new.name!r}: {_origin(known)} and {_origin(new)}")
    registry[new.name] = new
    return new


class _Decorator[**O]:
    """Type of `task`: its parameters are the fields of `TaskOptions`, so that the options are listed once."""

    def __init__(self, options: Callable[O, TaskOptions]) -> None:
        self._options: Callable[..., TaskOptions] = options

    @overload
    def __call__[**P, T](self, function: Callable[P, T], /) -> Task[P, T]: ...  # type: ignore[overload-overlap]  # O has keywords only
    @overload
    def __call__(self, *args: O.args, **options: O.kwargs) -> "_Configured": ...
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Make a function a task; see `TaskOptions` for the options.

        Raises:
            TypeError: an option does not exist, or the function cannot be a task.
            ValueError: another function is a task of this name.
        """
        configured = _Configured(self._options(**options))
        return configured(*args) if args else configured


class _Configured:
    def __init__(self, options: TaskOptions) -> None:
        self._options = options

    def __call__[**P, T](self, function: Callable[P, T]) -> Task[P, T]:
        return register(Task(function, self._options))


task = _Decorator(TaskOptions)
"""Make a function a task: `@task` or `@task(max_retries=3, queue="mail")`; see `TaskOptions`."""


@task(name=JOIN, max_retries=None)
async def join(results: list[Any]) -> list[Any]:
    """Return the argument: the results of several tasks become the result of one."""
    return results


@task(name="decant.probe")
async def probe() -> None:
    """Do nothing: the smoke test of a deployed stage runs it through queue and worker."""


def _origin(task: Task[..., Any]) -> str:
    return f"{task.function.__module__}.{task.function.__qualname__}"
