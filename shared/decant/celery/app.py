"""The app: its settings, its tasks, and the calls that need no task object."""

import importlib
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from decant import runtime
from decant.celery import loading, workers
from decant.celery.canvas import chain, chord, chunks, group, signature, xmap, xstarmap
from decant.celery.conf import Settings
from decant.celery.configuration import Configured
from decant.celery.control import Control
from decant.celery.definition import task_from_function
from decant.celery.exceptions import Unsupported
from decant.celery.periodic import Periodic
from decant.celery.result import AsyncResult, GroupResult, ResultSet
from decant.celery.routes import queue_of
from decant.celery.schedules import maybe_schedule
from decant.celery.signals import Signal
from decant.celery.task import Task

if TYPE_CHECKING:
    from decant.celery.canvas import Signature

__all__ = ["ABSENT", "Celery", "app_or_default", "get_current"]

log = logging.getLogger("decant.celery")


ABSENT = {
    "amqp",
    "backend",
    "broker_connection",
    "connection",
    "connection_for_read",
    "connection_for_write",
    "events",
    "loader",
    "log",
    "pool",
    "producer_pool",
    "steps",
    "user_options",
}
"""Attributes of Celery's app that have no counterpart."""


def _log_destination() -> None:
    log.info("Tasks and results are stored in PostgreSQL, at DATABASE_URL; the URLs of broker and backend are not used")


class Celery(Configured):
    """An app: `Celery("tasks", broker="redis://…")`.

    Args:
        main: Name that replaces `__main__` in the names of tasks.
        loader: Accepted without effect.
        backend: URL of Celery's result backend; accepted without effect.
        amqp: Not supported, as are `events`, `log`, `control` and `tasks`.
        events: Not supported.
        log: Not supported.
        control: Not supported.
        set_as_current: Make this the current app of the process.
        tasks: Not supported.
        broker: URL of Celery's broker; accepted without effect.
        include: Modules that define tasks; workers import them.
        changes: Settings.
        config_source: Module or object with settings.
        fixups: Accepted without effect.
        task_cls: Base class of the app's tasks.
        autofinalize: Accepted without effect.
        namespace: Prefix of the names in `config_source`.
        strict_typing: Check the number and the names of arguments where a task is called.
        options: Settings.
    Raises:
        Unsupported: an argument replaces a part of Celery that does not exist here.
    """

    def __init__(
        self,
        main: str | None = None,
        loader: Any = None,
        backend: Any = None,
        amqp: Any = None,
        events: Any = None,
        log: Any = None,
        control: Any = None,
        set_as_current: bool = True,
        tasks: Any = None,
        broker: str | None = None,
        include: Iterable[str] | str | None = None,
        changes: Mapping[str, Any] | None = None,
        config_source: Any = None,
        fixups: Any = None,
        task_cls: "type[Task] | str | None" = None,
        autofinalize: bool = True,
        namespace: str | None = None,
        strict_typing: bool = True,
        **options: Any,
    ) -> None:
        del loader, fixups, autofinalize
        custom = {"amqp": amqp, "events": events, "log": log, "control": control, "tasks": tasks}
        if given := [name for name, value in custom.items() if value is not None]:
            raise Unsupported(f"Celery({given[0]}=…): this part of Celery does not exist here. Remove the argument.")
        if backend is not None and not isinstance(backend, str):
            raise Unsupported("Celery(backend=…): a custom result backend cannot be used. Results are in PostgreSQL.")
        self.main = main
        self.strict_typing = strict_typing
        self.task_cls = task_cls or Task
        self.control = Control(self)
        self.tasks: dict[str, Task] = loading.tasks
        self.periodic: dict[str, Periodic] = {}
        self.packages: list[str] = []
        self.on_configure = Signal("app.on_configure")
        self.on_after_configure = Signal("app.on_after_configure")
        self.on_after_finalize = Signal("app.on_after_finalize")
        self.on_after_fork = Signal("app.on_after_fork")
        self.on_init()
        self.conf = Settings({**(changes or {}), **options})
        self._finalized = False
        if config_source is not None:
            self.config_from_object(config_source, namespace=namespace)
        if broker is not None or backend is not None:
            self.conf.update({"broker_url": broker, "result_backend": backend})
        if include:
            self.conf["include"] = [include] if isinstance(include, str) else list(include)
        if set_as_current:
            self.set_current()
        loading.apps.append(self)

    def __repr__(self) -> str:
        return f"<Celery {self.main or '__main__'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def on_init(self) -> None:
        """Called when the app is made; for subclasses."""

    def close(self) -> None:
        """Nothing to release: connections belong to the runtime."""

    def set_current(self) -> None:
        """Make this the current app."""
        loading.current.app = self

    set_default = set_current

    @property
    def current_task(self) -> "Task | None":
        """The task that runs now."""
        from decant.celery import request

        found = request.current()
        return None if found is None else found[0]

    # Tasks

    def task(self, *args: Any, **options: Any) -> Any:
        """Make a function a task: `@app.task`, or with options `@app.task(bind=True)`.

        Raises:
            Unsupported: an option cannot be used, or the function belongs to a Lambda function's own module.
            AlreadyRegistered: another function is a task of this name.
        """
        if len(args) == 1 and callable(args[0]) and not options:
            return self._task_from_fun(args[0])
        if args:
            raise TypeError("@app.task() takes exactly one callable")
        return lambda function: self._task_from_fun(function, **options)

    def _task_from_fun(
        self, fun: Callable[..., Any], name: str | None = None, base: type[Task] | None = None, **options: Any
    ) -> Task:
        return task_from_function(self, fun, name=name, base=base or self.Task, **options)

    def register_task(self, task: Any, **options: Any) -> Task:
        """Register a task that was defined as a class.

        Args:
            task: Instance of the class, or the class.
            options: Not used.
        """
        del options
        made: Any = task() if inspect.isclass(task) else task
        instance: Task = made
        instance.bind(self)
        loading.register(instance)
        return instance

    def gen_task_name(self, name: str, module: str) -> str:
        """Name of a task: its module and its own name; `__main__` is replaced by the app's name."""
        return ".".join(part for part in (self.main if module == "__main__" and self.main else module, name) if part)

    @cached_property
    def Task(self) -> type[Task]:  # noqa: N802  # Celery's name
        """Base class of the app's tasks."""
        base = self.task_cls
        if isinstance(base, str):
            module, _, name = base.replace(":", ".").rpartition(".")
            base = getattr(importlib.import_module(module), name)
        return type(base.__name__, (base,), {"_app": self, "abstract": True, "__module__": base.__module__})

    def autodiscover_tasks(self, packages: Any = None, related_name: str | None = "tasks", force: bool = False) -> None:
        """Import the module `related_name` of these packages where workers start, or at once."""
        names = packages() if callable(packages) else packages or ()
        self.packages += [f"{name}.{related_name}" if related_name else name for name in names]
        if force:
            loading.load()

    def log_once(self) -> None:
        """Log where tasks go, when a broker or a result backend was given; once per runtime."""
        if self.conf.broker_url or self.conf.result_backend:
            runtime.current().get(_log_destination, _log_destination)

    def finalize(self, auto: bool = False) -> None:
        """Send the signals after which periodic tasks can be added; once."""
        del auto
        if not self._finalized:
            self._finalized = True
            self.on_after_configure.send(sender=self, source=self.conf)
            self.on_after_finalize.send(sender=self)

    # Schedules

    def add_periodic_task(
        self,
        schedule: Any,
        sig: "Signature",
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        **opts: Any,
    ) -> str:
        """Add an entry to the schedule; returns its name."""
        signature_ = sig.clone(tuple(args), dict(kwargs or {}))
        key = name or repr(signature_)
        self.periodic[key] = Periodic(self, key, maybe_schedule(schedule), signature_.set(**opts))
        return key

    # Calls

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, **options: Any) -> AsyncResult:
        """Enqueue a call of a task by its name.

        Raises:
            NotRegistered: `TASK_MODULES` is set, and none of its modules defines a task of this name.
        """
        result: AsyncResult = self.signature(name, args=args, kwargs=kwargs, options=options).apply_async()
        return result

    def signature(self, *args: Any, **kwargs: Any) -> "Signature":
        """A signature of this app."""
        kwargs["app"] = self
        return signature(*args, **kwargs)

    subtask = signature

    def queue_for(self, name: str, args: Any, kwargs: Any, options: Mapping[str, Any]) -> str:
        """Queue of a call: that of the call, of `task_routes`, or the default queue."""
        return queue_of(self, name, args, kwargs, options)

    AsyncResult = AsyncResult
    GroupResult = GroupResult
    ResultSet = ResultSet
    chain = staticmethod(chain)
    chord = staticmethod(chord)
    chunks = staticmethod(chunks)
    group = staticmethod(group)
    map = staticmethod(xmap)
    starmap = staticmethod(xstarmap)

    def worker_main(self, argv: list[str] | None = None) -> None:
        """Run a worker; see `decant.celery.workers.run`."""
        workers.run(argv)

    start = worker_main

    def __getattr__(self, name: str) -> Any:
        if name in ABSENT:
            message = "Tasks and results are rows in PostgreSQL: use the app's other methods, or SQL."
            raise Unsupported(f"app.{name} does not exist here. {message}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def app_or_default(app: Celery | None = None) -> Celery:
    """The app, or else the current one."""
    return app or get_current()


def get_current() -> Celery:
    """The app that was made or set last; an app with default settings when there is none."""
    if loading.current.app is None:
        loading.current.app = Celery("default", set_as_current=False)
    app: Celery = loading.current.app
    return app
