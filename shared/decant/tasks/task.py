"""The `@task` decorator: a function that can also be put on a queue."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, TypedDict, Unpack, overload

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from decant.observability import correlation_id
from decant.tasks.canvas import Signature
from decant.tasks.delivery import Delivery, columns
from decant.tasks.enqueue import enqueue
from decant.tasks.parameters import Parameters
from decant.tasks.records import NewTask
from decant.tasks.registry import register
from decant.tasks.result import AsyncResult
from decant.tasks.run import Request, Run
from decant.tasks.schedule import Schedule
from decant.tasks.sqs import can_announce

__all__ = ["Options", "Task", "task"]

type Errors = tuple[type[Exception], ...]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a task is queued and run; names, meanings and defaults are Celery's.

    Attributes:
        name: What its rows call it; the function's module and name when not given.
        queue: Queue that its runs go on.
        max_retries: Retries after the first run, so that 3 means four runs at most; None for no bound. A run whose
            worker was lost counts.
        autoretry_for: Errors after which it is run again.
        dont_autoretry_for: Errors among these after which it is not.
        retry_backoff: Whether the wait doubles with each retry, or the seconds that the first one waits.
        retry_backoff_max: Longest such wait, seconds.
        retry_jitter: Whether such a wait is picked at random between 1 s and what it would be.
        default_retry_delay: Seconds that any other retry waits.
        time_limit: Seconds after which a run is cancelled and fails; what is left of the invocation bounds it too.
        soft_time_limit: Seconds after which `SoftTimeLimitExceeded` is raised inside it.
        expires: Seconds after which it is not started any more.
        unique: Whether a call with the arguments of one that has not ended stands for that one; or a function of the
            arguments that gives the key to compare.
        ignore_result: Whether to throw away what it returns.
        schedule: When it runs by itself, without arguments: `every(30)`, `cron("0 3 * * *")`.
        bind: Whether the function's first parameter is the `Run`.
    """

    name: str | None = None
    queue: str = "default"
    max_retries: int | None = 3
    autoretry_for: Errors = ()
    dont_autoretry_for: Errors = ()
    retry_backoff: bool | float = False
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    default_retry_delay: float = 180
    time_limit: float | None = None
    soft_time_limit: float | None = None
    expires: float | None = None
    unique: bool | Callable[..., str] | None = None
    ignore_result: bool = False
    schedule: Schedule | None = None
    bind: bool = False


class TaskOptions(TypedDict, total=False):
    """The same for type checkers."""

    name: str | None
    queue: str
    max_retries: int | None
    autoretry_for: Errors
    dont_autoretry_for: Errors
    retry_backoff: bool | float
    retry_backoff_max: float
    retry_jitter: bool
    default_retry_delay: float
    time_limit: float | None
    soft_time_limit: float | None
    expires: float | None
    unique: bool | Callable[..., str] | None
    ignore_result: bool
    schedule: Schedule | None
    bind: bool


class Task[**P, T]:
    """A function that can be called, and that can be put on its queue.

    Attributes:
        name: What its rows call it.
        function: The function itself.
        options: How it is queued and run.
        transactional: Whether it takes a `session`, in whose transaction its end is written too.
    """

    def __init__(self, function: Callable[P, T], options: Options) -> None:
        names = list(inspect.signature(function).parameters)
        self.function = function
        self.options = options
        self.name = options.name or f"{function.__module__}.{function.__qualname__}"
        self.is_async = inspect.iscoroutinefunction(function)
        self.transactional = "session" in names
        if self.transactional and not self.is_async:
            raise TypeError(f"{self.name}: only an async function can take a session: a thread has no part in one")
        supplied = [*(names[:1] if options.bind else ()), *(["session"] if self.transactional else ())]
        self.parameters = Parameters(function, supplied)
        if options.schedule is not None:
            self.parameters.encode((), {})  # raises now what every tick would
        update_wrapper(self, function)

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function, here and now; a bound one gets a `Run` that is no row's."""
        if self.options.bind:
            return self.function(Run(self.name, self.options.max_retries, Request()), *args, **kwargs)  # type: ignore[arg-type]  # P holds the parameter that binding supplies
        return self.function(*args, **kwargs)

    async def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Put one run on the queue; `apply_async` takes options too.

        Returns:
            Handle to the run.
        Raises:
            TypeError: the arguments do not fit the task's parameters, or are no JSON.
            DatabaseUnavailable: PostgreSQL is away; nothing was written, and retrying helps once it is back.
        """
        return await self.apply_async(args, kwargs)

    async def apply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        session: AsyncSession | None = None,
        **delivery: Unpack[Delivery],
    ) -> AsyncResult:
        """Put one run on a queue.

        Args:
            args: Positional arguments.
            kwargs: Arguments by name.
            session: Session in whose transaction the row is written: it comes and goes with the caller's own data,
                and is announced once they are committed.
            delivery: When and where; see `Delivery`.
        Returns:
            Handle to the run; its id is a UUIDv7.
        Raises:
            TypeError: the arguments do not fit the task's parameters, or are no JSON.
            ValueError: a time is not aware, a number of seconds is negative, an id is no UUID.
            DatabaseUnavailable: PostgreSQL is away; nothing was written, and retrying helps once it is back.
        """
        (task_id,) = await enqueue([self.new(args, kwargs or {}, delivery)], session)
        return AsyncResult(task_id)

    async def delay_many(
        self,
        calls: Iterable[Sequence[Any] | Mapping[str, Any]],
        *,
        session: AsyncSession | None = None,
        **delivery: Unpack[Delivery],
    ) -> list[AsyncResult]:
        """Put many runs on a queue: one INSERT, and one call to the queue for every ten of them.

        Args:
            calls: The arguments of each: a mapping of names, or a sequence of positional ones.
            session: As for `apply_async`.
            delivery: When and where, the same for all.
        Returns:
            Their handles, in order.
        """
        news = [
            self.new((), call, delivery) if isinstance(call, Mapping) else self.new(call, {}, delivery)
            for call in calls
        ]
        return [AsyncResult(task_id) for task_id in await enqueue(news, session)]

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """This call as a part of a workflow: the result of the part before it comes as its first argument."""
        return Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """The same, but with just these arguments."""
        return Signature(self, args, kwargs, immutable=True)

    def new(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], delivery: Mapping[str, Any], *, partial: bool = False
    ) -> NewTask:
        """The row of one run, its arguments checked.

        Args:
            args: Positional arguments.
            kwargs: Arguments by name.
            delivery: When and where; see `Delivery`.
            partial: Whether one more argument is to come before the first.
        Raises:
            TypeError: the arguments do not fit the task's parameters, or are no JSON.
            ValueError: an option is wrong.
        """
        encode = self.parameters.encode_partial if partial else self.parameters.encode
        encoded_args, encoded_kwargs = encode(args, kwargs)
        queue = delivery.get("queue") or self.options.queue
        return NewTask(
            name=self.name,
            queue=queue,
            args=encoded_args,
            kwargs=encoded_kwargs,
            max_retries=self.options.max_retries,
            announced=can_announce(queue),
            correlation_id=correlation_id(),
            unique_key=None if partial else self._unique_key(args, kwargs),
            **columns({"expires": self.options.expires, **delivery}),
        )

    def _unique_key(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        if callable(self.options.unique):
            return self.options.unique(*args, **kwargs)
        return self.parameters.identity(args, kwargs) if self.options.unique else None


@overload
def task[**P, T](function: Callable[P, T], /) -> Task[P, T]: ...
@overload
def task[**P, T](**options: Unpack[TaskOptions]) -> Callable[[Callable[P, T]], Task[P, T]]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a task; `Options` tells what can be said of it.

    Raises:
        TypeError: there is no such option, or the function cannot be a task.
        ValueError: another function is a task of this name.
    """

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        return register(Task(function, Options(**options)))

    return decorate if function is None else decorate(function)
