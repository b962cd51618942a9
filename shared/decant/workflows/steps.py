"""Steps: calls whose results are recorded, so that a resumed run does not repeat them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, overload

from sqlalchemy.exc import DBAPIError

from decant import db
from decant.errors import DatabaseUnavailable, StepInterrupted, TimeLimitExceeded
from decant.tasks import checks
from decant.tasks.backoff import backoff_s
from decant.tasks.context import Retry
from decant.tasks.store import is_rolled_back
from decant.tasks.transaction import kept_open
from decant.tracing import span
from decant.workflows.errors import decode_error, encode_error, raised_again
from decant.workflows.functions import StepFunction, describe_function
from decant.workflows.progress import Call, Progress, current_progress
from decant.workflows.records import Recorded, StepError
from decant.workflows.store import NotRecorded, steps

__all__ = ["step", "step_key"]

_INTERRUPTIONS = 3  # of a step that takes a whole invocation, when it has fewer retries
_LONGEST_PAUSE_S = 600.0
_TRANSACTIONS = 3  # tries of a transaction whose connection is lost, or that another transaction has rolled back

_current_key: ContextVar[str | None] = ContextVar("decant_step", default=None)


def step_key() -> str:
    """Key of the current step, the same in all its tries: an idempotency key for other services.

    Raises:
        RuntimeError: no step is in progress.
    """
    key = _current_key.get()
    if key is None:
        raise RuntimeError("step_key() is called in the function of a step")
    return key


@overload
async def step[T](
    function: Callable[..., Awaitable[T]],
    /,
    *args: Any,
    name: str | None = None,
    retries: int = 0,
    timeout: float | None = None,  # noqa: ASYNC109  # of every try
    once: bool = False,
    queue: str | None = None,
    **kwargs: Any,
) -> T: ...
@overload
async def step[T](
    function: Callable[..., T],
    /,
    *args: Any,
    name: str | None = None,
    retries: int = 0,
    timeout: float | None = None,  # noqa: ASYNC109  # of every try
    once: bool = False,
    queue: str | None = None,
    **kwargs: Any,
) -> T: ...
async def step(  # noqa: PLR0913  # the options of a step
    function: Callable[..., Any],
    /,
    *args: Any,
    name: str | None = None,
    retries: int = 0,
    timeout: float | None = None,  # noqa: ASYNC109  # of every try
    once: bool = False,
    queue: str | None = None,
    **kwargs: Any,
) -> Any:
    """Call a function, and record its result; a resumed run receives the recorded result.

    A function that takes a `session` is called in a transaction which also records its result: it takes effect exactly
    once. Other functions may run again when the run is interrupted inside of them. Outside of a worker, the function
    is called and nothing is recorded.

    Args:
        function: A function, or a task. A plain `def` function runs in a thread.
        args: Positional arguments.
        name: Name of the step; by default the name of the function. Steps of one name are counted in the order of their
            calls, so that concurrent branches need different names.
        retries: Maximum number of further tries after an error, with Celery's exponential backoff.
        timeout: Seconds after which a try is cancelled, and fails with `TimeLimitExceeded`. The step does not start
            in an invocation that has less time.
        once: Raise `StepInterrupted` in place of a second try whose predecessor was interrupted.
        queue: Run a task as a child on another queue, and wait for its result.
        kwargs: Keyword arguments; `functools.partial` passes those that have the name of an option.
    Returns:
        The result, as decoded from JSON to the annotated type.
    Raises:
        Exception: the error of the last try; in a resumed run, an error of the same class.
        StepFailed: the class of that error cannot be imported.
        StepInterrupted: the step has `once=True`, and was interrupted.
        TypeError: the result is not JSON, or a function without a name needs the option `name`.
        ValueError: the result has more than 256 KiB.
    """
    progress = current_progress()
    if queue is not None and progress is not None:
        from decant.workflows.children import call_child  # noqa: PLC0415  # most runs have no children

        return await call_child(function, args, kwargs, name=name, queue=queue, time_limit=timeout)
    described = describe_function(function)
    if progress is None:
        return await _call_directly(described, args, kwargs)
    if _current_key.get() is not None:
        raise RuntimeError("a step cannot contain a step: call the function itself, or call the step in the workflow")
    step_name = name or described.name
    if step_name is None:
        raise TypeError(f"step() needs the option name for {function!r}")
    call = await progress.call(checks.text("name", step_name), "step")
    if call.found is not None and call.found.kind == "step":
        return await _replay(progress, described, call.found)
    return await _Step(progress, call, described, retries, timeout, once=once).run(args, kwargs)


async def _call_directly(described: StepFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not described.transactional or "session" in kwargs:
        return await described.call(args, kwargs)
    async with db.session() as session:
        return await described.call(args, {**kwargs, "session": session})


async def _replay(progress: Progress, described: StepFunction, found: Recorded) -> Any:
    """Return the recorded result, or raise the recorded error."""
    error = decode_error(found)
    if error is not None:
        raise raised_again(found.name, error)
    try:
        return described.decode(found.result)
    except TypeError as mismatch:
        await progress.change(f"The recorded result of step {found.name} does not fit its type: {mismatch}.")


class _Step:
    """A step that has no recorded result."""

    def __init__(  # noqa: PLR0913  # the options of a step
        self,
        progress: Progress,
        call: Call,
        described: StepFunction,
        retries: int,
        timeout_s: float | None,
        *,
        once: bool,
    ) -> None:
        self._progress = progress
        self._call = call
        self._described = described
        self._retries = retries
        self._timeout_s = timeout_s
        self._once = once and not described.transactional
        self._key = f"{progress.claimed.id}:{call.key.name}:{call.key.n}"

    async def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Try the call until it succeeds or no retries are left, and record the result."""
        tries = await self._resume() if self._call.found is not None else 0
        while True:
            await self._progress.have_time(self._timeout_s)
            try:
                return await self._try(args, kwargs)
            except Retry:
                raise  # of the whole run
            except Exception as error:
                tries += 1
                if tries > self._retries:
                    await self._fail(error, tries)
                    raise
                await self._pause(error, tries)

    async def _resume(self) -> int:
        """Continue after an interruption or a failed try; returns the number of tries so far."""
        found = self._call.found
        stored = None if found is None else decode_error(found)
        if found is None or stored is None:
            if self._once:
                error = StepInterrupted(f"Step {self._call.key.name} was interrupted: its effect is not known.")
                await self._fail(error, 1)
                raise error
            return 0
        if found.left_s is None:  # it was interrupted, and had all the time of an invocation
            if stored.tries > max(self._retries, _INTERRUPTIONS):
                message = f"Step {self._call.key.name} takes longer than an invocation: run it with queue="
                error_ = TimeLimitExceeded(message)
                await self._fail(error_, stored.tries)
                raise error_
            return 0
        await self._progress.wait(self._progress.left_s(found))
        return stored.tries

    async def _try(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        progress, call, described = self._progress, self._call, self._described
        if self._once:
            await progress.record(progress.new(call, "begun"))
        attributes = {"decant.step": call.key.name, "decant.step.number": call.key.n}
        with progress.executing(call, once=self._once), span(f"step {call.key.name}", attributes):
            if described.transactional and "session" not in kwargs:
                result, earlier = await self._call_in_transaction(args, kwargs)
            else:
                started_at = time.monotonic()
                encoded, result = described.encode(await self._called(args, kwargs))
                seconds = time.monotonic() - started_at
                earlier = await progress.record(progress.new(call, "step", encoded, seconds=seconds))
        return result if earlier is None else await _replay(progress, described, earlier)

    async def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        token = _current_key.set(self._key)
        try:
            if self._timeout_s is None:
                return await self._described.call(args, kwargs)
            async with asyncio.timeout(self._timeout_s) as limit:
                return await self._described.call(args, kwargs)
        except TimeoutError as error:
            if self._timeout_s is None or not limit.expired():
                raise
            message = f"Step {self._call.key.name} ran longer than {self._timeout_s:g} s."
            raise TimeLimitExceeded(message) from error
        finally:
            _current_key.reset(token)

    async def _call_in_transaction(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Recorded | None]:
        """Call the function in a transaction that also records its result.

        Returns:
            The result, and None or the record of an earlier claim. When the connection is lost at the commit, the next
            try finds the record if there was a commit.
        """
        for last in (False,) * (_TRANSACTIONS - 1) + (True,):
            try:
                return await self._commit(args, kwargs), None
            except NotRecorded:
                return None, await self._progress.find_conflict(self._call.key)
            except DatabaseUnavailable:
                if last:
                    raise
            except DBAPIError as error:
                if last or not is_rolled_back(error):
                    raise
        raise AssertionError

    async def _commit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        progress = self._progress
        for recorded in progress.record_patches():
            await recorded
        async with steps().transaction() as (session, record):
            started_at = time.monotonic()
            with kept_open(session):
                encoded, result = self._described.encode(await self._called(args, {**kwargs, "session": session}))
            await record(progress.new(self._call, "step", encoded, seconds=time.monotonic() - started_at))
        progress.made += 1
        return result

    async def _pause(self, error: Exception, tries: int) -> None:
        """Wait for the next try; a long wait is recorded."""
        delay_s = backoff_s(tries - 1, 1, _LONGEST_PAUSE_S, jitter=True)
        if delay_s > steps().short_wait_s or self._once:
            stored = encode_error(error, tries)
            await self._progress.record(self._progress.new(self._call, "begun", error=stored, delay_s=delay_s))
        await self._progress.wait(delay_s)

    async def _fail(self, error: Exception, tries: int) -> None:
        """Record the error of the last try."""
        stored: StepError = encode_error(error, tries)
        await self._progress.record(self._progress.new(self._call, "step", error=stored))
