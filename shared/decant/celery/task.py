"""`Task`: Celery's class of tasks, on a task of `decant.tasks`."""

import inspect
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from decant.celery import definition, eager, placement, request, retrying
from decant.celery.canvas import Signature, chunks, signature, xmap, xstarmap
from decant.celery.exceptions import MaxRetriesExceededError, Retry, Unsupported
from decant.celery.hooks import Hooks
from decant.celery.parameters import CallParameters
from decant.celery.replacing import replace
from decant.celery.request import Context
from decant.celery.result import AsyncResult, EagerResult
from decant.celery.sending import listed
from decant.celery.serialization import encode
from decant.celery.tracing import runner
from decant.celery.utils import uuid
from decant.tasks.options import TaskOptions
from decant.tasks.task import Task as Definition

if TYPE_CHECKING:
    from decant.celery.app import Celery

__all__ = ["Task"]


class Task(Hooks):
    """A task. Subclasses define `run`, or are the `base=` of functions."""

    _app: ClassVar[Any] = None
    abstract: ClassVar[bool] = True
    definition: Definition[..., Any]

    name: str | None = None
    max_retries: int | None = 3
    default_retry_delay: float = 180
    autoretry_for: Sequence[type[BaseException]] = ()
    dont_autoretry_for: Sequence[type[BaseException]] = ()
    retry_kwargs: Mapping[str, Any] = {}
    retry_backoff: bool | float = False
    retry_backoff_max: int = 600
    retry_jitter: bool = True
    time_limit: float | None = None
    soft_time_limit: float | None = None
    expires: Any = None
    priority: int | None = None
    queue: str | None = None
    routing_key: str | None = None
    ignore_result: bool | None = None
    store_errors_even_if_ignored: bool | None = None
    serializer: str | None = None
    throws: Sequence[type[BaseException]] = ()
    trail: bool = True
    typing: bool | None = None
    track_started: bool | None = None
    acks_late: bool | None = None
    rate_limit: str | float | None = None

    MaxRetriesExceededError = MaxRetriesExceededError
    OperationalError = Exception

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "abstract" not in cls.__dict__:
            cls.abstract = False

    def bind(self, app: "Celery") -> None:
        """Belong to an app, and be known to workers.

        Raises:
            Unsupported: an option cannot be used.
            ValueError: the option `rate_limit` is not a rate, such as "100/m".
        """
        setattr(type(self), "_app", app)  # noqa: B010  # private to this class and its instances
        if not self.name:
            self.name = app.gen_task_name(type(self).__name__, type(self).__module__)
        definition.check_options(self)
        function = inspect.unwrap(self.run)
        placement.check(function, self.name)
        typing = app.strict_typing if self.typing is None else self.typing
        run = runner(self, is_async=inspect.iscoroutinefunction(function))
        run.__module__, run.__qualname__ = type(self).__module__, type(self).__qualname__
        options = TaskOptions(
            name=self.name, bind=True, max_retries=self.max_retries, rate_limit=self.rate_limit or None
        )
        self.definition = Definition(run, options)
        self.definition.parameters = CallParameters(self.name, self.run if typing else None)
        self.__name__ = type(self).__name__

    @property
    def app(self) -> "Celery":
        """The app of the task; the current app for a shared task."""
        from decant.celery.app import get_current  # the app imports this module

        return self._app or get_current()

    def __repr__(self) -> str:
        return f"<@task: {self.name}>"

    @property
    def request(self) -> Context:
        """The call that runs now; empty outside of a run."""
        found = request.current(self)
        return Context() if found is None else found[1]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in this process, without a row."""
        with request.pushed(self, Context(args=args, kwargs=kwargs)):
            return self.run(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The code of the task."""
        raise NotImplementedError("Tasks must define the run method.")

    # Calls

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Enqueue a call with these arguments; see `apply_async`."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **options: Any,
    ) -> AsyncResult:
        """Enqueue a call, and return its handle when the row is committed.

        The handle can be awaited, which returns it at once. In a coroutine the call blocks the event loop until the
        row is committed; `await decant.tasks.Task.delay(…)` does not.

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments.
            task_id: Id of the task, any text.
            producer: Accepted without effect.
            link: Signatures to call with the result.
            link_error: Signatures to call when the task fails.
            shadow: Accepted without effect.
            options: `countdown`, `eta`, `expires`, `queue`, `priority`, `time_limit`, `soft_time_limit`,
                `ignore_result`, `headers` and `add_to_parent`; others have no effect.
        Raises:
            TypeError: the arguments do not fit the task's parameters, or are not JSON.
            DatabaseUnavailable: nothing was written, and retrying helps once PostgreSQL is back.
        """
        del producer, shadow
        if self.soft_time_limit and self.time_limit and self.soft_time_limit > self.time_limit:
            raise ValueError("soft_time_limit must be less than or equal to time_limit")
        if options.get("serializer") not in {None, "json"}:
            raise Unsupported(f"serializer={options['serializer']!r}: arguments are JSON. Remove the option.")
        if self.app.conf.task_always_eager:
            given = {"link": link, "link_error": link_error, **options}
            self.definition.parameters.encode(args or (), kwargs or {})
            return self.apply(args, kwargs, task_id=task_id, **given)
        call = Signature(self.name, tuple(args or ()), dict(kwargs or {}), app=self.app, **options)
        for callback in listed(link):
            call.link(callback)
        for callback in listed(link_error):
            call.link_error(callback)
        result: AsyncResult = call.apply_async(**({"task_id": task_id} if task_id else {}))
        return result

    def apply(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        link: Any = None,
        link_error: Any = None,
        task_id: str | None = None,
        retries: int | None = None,
        throw: bool | None = None,
        **options: Any,
    ) -> EagerResult:
        """Run the task in this process, and return its result when it has ended."""
        propagate = self.app.conf.task_eager_propagates if throw is None else throw
        call = eager.Call(tuple(args or ()), dict(kwargs or {}), task_id or uuid(), retries or 0, options)
        return eager.run(self, call, link=listed(link), link_error=listed(link_error), throw=propagate)

    # Signatures

    def signature(self, args: Any = None, *starargs: Any, **starkwargs: Any) -> Signature:
        """A signature of the task."""
        starkwargs.setdefault("app", self._app)
        return signature(self.name, args, *starargs, **starkwargs)

    subtask = signature

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """A signature with these arguments."""
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """An immutable signature: the result of the previous task is not passed."""
        return self.signature(args, kwargs, immutable=True)

    def chunks(self, it: Any, n: int) -> chunks:
        """Calls with the arguments of `it`, in tasks of `n` calls."""
        return chunks(self.s(), it, n, app=self._app)

    def map(self, it: Any) -> xmap:
        """One task that calls this task with every item of `it`."""
        return xmap(self.s(), it, app=self._app)

    def starmap(self, it: Any) -> xstarmap:
        """One task that calls this task with every item of `it` as arguments."""
        return xstarmap(self.s(), it, app=self._app)

    def AsyncResult(self, task_id: str, **kwargs: Any) -> AsyncResult:  # noqa: N802  # Celery's name
        """Handle to a task of this id."""
        return AsyncResult(task_id, task_name=self.name, app=self._app, **kwargs)

    # In a run

    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """End this run and request another.

        Args:
            args: New positional arguments; those of this run by default.
            kwargs: New keyword arguments.
            exc: Error to raise when no retries are left; the error that is being handled takes precedence.
            throw: False returns the error in place of raising it; raise it to be retried.
            eta: Time of the next run.
            countdown: Seconds until the next run; `default_retry_delay` by default.
            max_retries: Bound for this call; that of the task by default.
            options: No effect.
        Raises:
            Retry: always; the worker handles it.
            MaxRetriesExceededError: no retries are left.
        """
        del options
        again = retrying.requested(self, args, kwargs, exc, eta, countdown, max_retries)
        if throw:
            raise again
        return again

    def replace(self, sig: Signature) -> Any:
        """Let a signature take the place of this run: its result becomes the result of this task, with the same id.

        Raises:
            Ignore: always, unless the task runs eagerly: the run ends here.
        """
        return replace(self, sig)

    def add_to_chord(self, sig: Signature, lazy: bool = False) -> Any:
        """Not supported."""
        raise Unsupported("add_to_chord does not exist here. Replace the task: `self.replace(group(…))`.")

    def update_state(
        self, task_id: str | None = None, state: str | None = None, meta: Any = None, **kwargs: Any
    ) -> None:
        """Store a state and its details; `AsyncResult.state` and `info` show them until the task has ended.

        Args:
            task_id: The running task itself.
            state: Any text.
            meta: Any JSON.
            kwargs: No effect.
        Raises:
            Unsupported: the id is that of another task.
        """
        from decant.celery.tracing import store_state

        del kwargs
        call = self.request
        if task_id not in {None, call.id}:
            raise Unsupported("update_state(task_id=…) changes the running task alone. Use a table of the application.")
        call.state = (state or "PENDING", meta)
        if call.id and not call.is_eager:
            encode(meta, "meta of update_state")
            store_state(call.state)

    def push_request(self, *args: Any, **kwargs: Any) -> None:
        """Set the request, for unit tests of the task's function."""
        request.pushed(self, Context(*args, **kwargs)).__enter__()

    def pop_request(self) -> None:
        """Undo the last `push_request`."""
        found = request.current(self)
        if found is not None:
            request.drop(found)
