"""The `@task` decorator, the tasks of all imported modules by name, and calls that are repeated by a schedule."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, overload

from decant.config import load
from decant.tasks.options import TaskOptions, TaskSettings
from decant.tasks.records import NewTask, Runnable
from decant.tasks.schedule import Schedule
from decant.tasks.task import Task
from decant.tasks.workflow import JOIN

__all__ = [
    "Periodic",
    "WorkerEvent",
    "join",
    "load_modules",
    "notify",
    "on_load",
    "on_worker_event",
    "periodic",
    "probe",
    "register",
    "registry",
    "runnable",
    "schedule",
    "task",
]

registry: dict[str, Task[..., Any]] = {}


class Periodic(Protocol):
    """A call that is repeated by a schedule."""

    @property
    def name(self) -> str:
        """Name that is unique among all tasks."""

    @property
    def schedule(self) -> Schedule:
        """Times at which it is inserted."""

    @property
    def expires_s(self) -> float | None:
        """Seconds after a tick at which its task is not started any more."""

    def at(self, options: Mapping[str, Any]) -> NewTask:
        """The task of a tick, with these options."""


periodic: dict[str, Periodic] = {}
_loaders: list[Callable[[], None]] = []

type WorkerEvent = Literal["init", "ready", "shutting down", "shutdown"]

_listeners: list[Callable[[WorkerEvent], None]] = []


def runnable(queues: Sequence[str] | None = None) -> Runnable:
    """The tasks of the imported modules, for a claim of a worker.

    Args:
        queues: Queues that it serves; None for all.
    """
    limits = [task.limit for task in registry.values() if task.limit is not None]
    return Runnable(list(registry), limits, queues)


def schedule(entry: Periodic) -> None:
    """Let the sweeper insert a call at the times of a schedule; an entry of the same name is replaced."""
    periodic[entry.name] = entry


def on_load(loader: Callable[[], None]) -> Callable[[], None]:
    """Decorator: call a function after the modules with tasks were imported."""
    _loaders.append(loader)
    return loader


def on_worker_event(listener: Callable[[WorkerEvent], None]) -> Callable[[WorkerEvent], None]:
    """Decorator: call a function at the events of a worker in this process."""
    _listeners.append(listener)
    return listener


def notify(event: WorkerEvent) -> None:
    """Call the functions that listen to the events of workers."""
    for listener in _listeners:
        listener(event)


def load_modules() -> None:
    """Import the modules with tasks, `TASK_MODULES`; called where a worker or the sweeper starts.

    Raises:
        ImportError: a module does not exist, or cannot be imported.
    """
    for name in load(TaskSettings).modules:
        importlib.import_module(name)
    for loader in _loaders:
        loader()


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
