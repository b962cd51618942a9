"""Task: a function that can be called directly or enqueued."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Unpack
from uuid import UUID

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

from decant.observability import correlation_ids
from decant.tasks import checks
from decant.tasks.context import Run
from decant.tasks.ids import uuid7s
from decant.tasks.limits import limit_of
from decant.tasks.options import CallOptions, TaskOptions, is_published, validate
from decant.tasks.parameters import Parameters
from decant.tasks.publish import enqueue
from decant.tasks.records import NewTask
from decant.tasks.result import AsyncResult, enqueued
from decant.tasks.signatures import Signature

__all__ = ["Task"]


class Task[**P, T]:
    """A function that can be called directly or enqueued.

    Attributes:
        name: Name in the table.
        function: The function itself.
        options: Options given to `@task`.
        transactional: The function takes a `session`; its result is written in the session's transaction.
        limit: Limits of its runs; None when there are none.
        resumes: A claim continues the run of the claim before; `decant.workflows.Workflow`.
    """

    resumes = False

    def __init__(self, function: Callable[P, T], options: TaskOptions) -> None:
        names = list(inspect.signature(function).parameters)
        self.function = function
        self.options = options
        self.name = options.name or f"{function.__module__}.{function.__qualname__}"
        self.limit = limit_of(self.name, options.rate_limit, options.concurrency)
        self.is_async = inspect.iscoroutinefunction(function)
        self.transactional = "session" in names
        if self.transactional and not self.is_async:
            raise TypeError(f"{self.name}: only an async function can take a session: a thread cannot share one")
        supplied = [*(names[:1] if options.bind else ()), *(["session"] if self.transactional else ())]
        self.parameters = Parameters(function, supplied)
        if options.schedule is not None:
            self.parameters.encode((), {})  # raises now, and not at every tick
        update_wrapper(self, function)

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function directly; a bound function receives a `Run` without an id."""
        if self.options.bind:
            return self.function(Run(self.name, self.options.max_retries), *args, **kwargs)  # type: ignore[arg-type]  # P holds the parameter that binding supplies
        return self.function(*args, **kwargs)

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Enqueue a call: `await task.delay()`, or `task.delay()` in synchronous code; see `apply_async`.

        Returns:
            Handle to the call.
        Raises:
            TypeError: the arguments do not fit the task's parameters, or are not JSON.
            DatabaseUnavailable: nothing was written, and retrying helps once PostgreSQL is back.
        """
        return enqueued(self._enqueue(args, kwargs, None, {}))

    def apply_async(
        self,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        session: AsyncSession | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult:
        """Enqueue a call: awaited in a coroutine, and without `await` in synchronous code.

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments.
            session: Session in whose transaction the task is inserted. It commits or rolls back with the caller's
                own data, and is published after the commit.
            options: See `CallOptions`.
        Returns:
            Handle to the call; its id is a UUIDv7.
        Raises:
            TypeError: the arguments do not fit the task's parameters, or are not JSON.
            ValueError: a time is not aware, a number of seconds is negative, an id is not a UUID.
            DatabaseUnavailable: nothing was written, and retrying helps once PostgreSQL is back.
        """
        return enqueued(self._enqueue(args, kwargs or {}, session, options))

    async def _enqueue(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], session: AsyncSession | None, options: CallOptions
    ) -> AsyncResult:
        (task_id,) = await enqueue([self.new(args, kwargs, options)], session)
        return AsyncResult(task_id)

    async def delay_many(
        self,
        calls: Iterable[Sequence[Any] | Mapping[str, Any]],
        *,
        session: AsyncSession | None = None,
        **options: Unpack[CallOptions],
    ) -> list[AsyncResult]:
        """Enqueue many calls with a single INSERT, and with an SQS call for every ten messages.

        Synchronous code calls `await_(task.delay_many(…))`.

        Args:
            calls: Arguments of the calls: mappings of keyword arguments, or sequences of positional arguments.
            session: See `apply_async`.
            options: See `CallOptions`; they apply to all calls.
        Returns:
            Handles, in order.
        """
        base, calls = self._base(options), list(calls)
        is_new = options.get("task_id") is None
        ids = uuid7s(len(calls)) if is_new else [base.id] * len(calls)
        tasks = [
            self._new((), call, base, task_id) if isinstance(call, Mapping) else self._new(call, {}, base, task_id)
            for call, task_id in zip(calls, ids, strict=True)
        ]
        return [AsyncResult(task_id) for task_id in await enqueue(tasks, session, are_calls=is_new)]

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """Signature of a call in a workflow: the result of the previous task becomes its first argument."""
        return Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """Immutable signature: the result of the previous task is not passed."""
        return Signature(self, args, kwargs, immutable=True)

    def new(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        partial: bool = False,
        unique: bool = True,
    ) -> NewTask:
        """Validate a call and return the task to insert.

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments.
            options: See `CallOptions`.
            partial: Another argument will be inserted before the first.
            unique: The option `unique` applies to the call; it does not to a partial call.
        Raises:
            TypeError: the arguments do not fit the task's parameters, or are not JSON.
            ValueError: an option is invalid.
        """
        base = self._base(options)
        return self._new(args, kwargs, base, base.id, partial=partial, unique=unique)

    def _base(self, options: Mapping[str, Any]) -> NewTask:
        """A call without its arguments."""
        fields = validate(options) if options else {}
        if self.options.expires is not None and fields.keys().isdisjoint({"expires", "expires_in_s"}):
            fields["expires_in_s"] = self.options.expires
        queue = fields.setdefault("queue", self.options.queue)
        return NewTask(
            name=self.name,
            args="",
            kwargs="",
            max_retries=self.options.max_retries,
            publish=is_published(queue),
            correlation_id=correlation_ids.get()[0],
            limit_key="" if self.limit is None else self.name,
            **fields,
        )

    def _new(  # noqa: PLR0913  # what calls of a task share, and what they do not
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        base: NewTask,
        task_id: UUID,
        *,
        partial: bool = False,
        unique: bool = True,
    ) -> NewTask:
        encode = self.parameters.encode_partial if partial else self.parameters.encode
        encoded_args, encoded_kwargs = encode(args, kwargs)
        key = self._unique_key(args, kwargs) if self.options.unique and unique and not partial else None
        limit_key = base.limit_key
        if self.options.concurrency_key is not None and not partial:
            limit_key = self._limit_key(self.options.concurrency_key, args, kwargs)
        return replace(base, id=task_id, args=encoded_args, kwargs=encoded_kwargs, unique_key=key, limit_key=limit_key)

    def _limit_key(self, key_of: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        bound = self.parameters.bind(args, kwargs)
        key = key_of(*bound.args, **bound.kwargs)
        return "" if key is None else f"{self.name}\n{checks.key('concurrency key', key)}"

    def _unique_key(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        if callable(self.options.unique):
            bound = self.parameters.bind(args, kwargs)
            unique_key = self.options.unique(*bound.args, **bound.kwargs)
            return None if unique_key is None else checks.key("unique key", unique_key)
        return self.parameters.identity(args, kwargs)
