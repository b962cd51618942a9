"""Runs of Celery's tasks: `self.request`, hooks and signals around the function, in the order of Celery.

Source: celery/app/trace.py.
"""

import inspect
import logging
import platform
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from decant.celery import signals, states
from decant.celery.blocking import wait
from decant.celery.errbacks import with_failure
from decant.celery.exceptions import Ignore, Reject, Retry
from decant.celery.outcome import IGNORED, describe
from decant.celery.parameters import Encoded
from decant.celery.request import Context, pushed
from decant.celery.retrying import autoretry
from decant.celery.serialization import encode
from decant.celery.stepping import watched
from decant.tasks.context import Ended, Run, current_run
from decant.tasks.records import CancelReason, Claimed, Failure, Outcome, State
from decant.tasks.store import store
from decant.worker import outcomes

if TYPE_CHECKING:
    from decant.celery.task import Task

__all__ = ["ExceptionInfo", "Trace", "runner", "store_state"]

log = logging.getLogger("decant.celery")


class ExceptionInfo:
    """An error and its traceback, as hooks receive it."""

    def __init__(self, error: BaseException) -> None:
        self.type = type(error)
        self.exception = error
        self.tb = error.__traceback__
        self.traceback = "".join(traceback.format_exception(error))
        self.exc_info = (self.type, error, self.tb)

    def __str__(self) -> str:
        return self.traceback

    def __repr__(self) -> str:
        return f"<ExceptionInfo: {self.exception!r}>"


class Trace:
    """A run of a task, as a `with` block around its function.

    Args:
        task: The task.
        request: The call.
        eager: The run takes place in the caller's process; errors of hooks are raised.
    Attributes:
        retval: What the function returned; its error after a failure.
        state: State of the run.
    """

    def __init__(self, task: "Task", request: Context, *, eager: bool = False) -> None:
        self.task = task
        self.request = request
        self.retval: Any = None
        self.state: str | None = None
        self._eager = eager
        self._pushed = pushed(task, request)

    @property
    def function(self) -> Callable[..., Any]:
        """The function to call: the task itself when its class has a `__call__` of its own."""
        from decant.celery.task import Task  # it imports this module

        return self.task.run if type(self.task).__call__ is Task.__call__ else self.task

    def __enter__(self) -> Self:
        self._pushed.__enter__()
        call = self.request
        if signals.task_prerun.receivers:
            signals.task_prerun.send(
                sender=self.task, task_id=call.id, task=self.task, args=call.args, kwargs=call.kwargs
            )
        return self

    def start(self) -> None:
        """Call the hook before the function; its error is that of the run."""
        self.task.before_start(str(self.request.id), self.request.args, self.request.kwargs)

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        call = self.request
        try:
            if error is not None and self._cancelled():
                self.state = states.REVOKED
            elif error is None:
                self._succeeded()
            elif isinstance(error, Exception):
                self._failed(error)
            if self.state in {states.SUCCESS, states.FAILURE}:
                self._hook(self.task.after_return, self.state, self.retval, call.id, call.args, call.kwargs, None)
        finally:
            if signals.task_postrun.receivers:
                named = {"task_id": call.id, "task": self.task, "args": call.args, "kwargs": call.kwargs}
                signals.task_postrun.send(sender=self.task, retval=self.retval, state=self.state, **named)
            self._pushed.__exit__()

    def _cancelled(self) -> bool:
        """Whether the worker has cancelled the run for another reason than its time limit."""
        run = current_run()
        if self._eager or run is None or run.cancelled in {None, CancelReason.TIME_LIMIT}:
            return False
        if run.cancelled is CancelReason.REVOKED:
            named = {"terminated": True, "signum": None, "expired": False}
            signals.task_revoked.send(sender=self.task, request=self.request, **named)
        return True

    def _succeeded(self) -> None:
        call, self.state = self.request, states.SUCCESS
        self._hook(self.task.on_success, self.retval, call.id, call.args, call.kwargs)
        if signals.task_success.receivers:
            signals.task_success.send(sender=self.task, result=self.retval)

    def _failed(self, error: Exception) -> None:
        call, self.retval = self.request, error
        if isinstance(error, Reject):
            self.state = states.REJECTED
            signals.task_rejected.send(sender=self.task, message=None, exc=error)
        elif isinstance(error, Ignore | Ended):
            self.state = states.IGNORED
        elif isinstance(error, Retry):
            self.state, info = states.RETRY, ExceptionInfo(error)
            self._hook(self.task.on_retry, error.exc, call.id, call.args, call.kwargs, info)
            signals.task_retry.send(sender=self.task, request=call, reason=error, einfo=info)
        else:
            self.state, info = states.FAILURE, ExceptionInfo(error)
            self._hook(self.task.on_failure, error, call.id, call.args, call.kwargs, info)
            named = {"task_id": call.id, "args": call.args, "kwargs": call.kwargs, "traceback": error.__traceback__}
            signals.task_failure.send(sender=self.task, exception=error, einfo=info, **named)

    def _hook(self, hook: Callable[..., Any], *args: Any) -> None:
        """Call a hook. Its error is logged: the outcome of the run is certain by then."""
        try:
            hook(*args)
        except Exception:
            if self._eager:
                raise
            log.exception("Hook raised", extra={"task": self.task.name, "hook": hook.__name__})


def runner(task: "Task", *, is_async: bool) -> Callable[..., Any]:
    """The function that workers call with the run and the arguments of a call."""

    def run(run_: Run, *args: Any, **kwargs: Any) -> Any:
        recorded = _Recorded(task, run_, args, kwargs)
        signals.task_received.send(sender=None, request=recorded.request)
        with recorded.trace as trace, recorded:
            trace.start()
            trace.retval = trace.function(*recorded.args, **kwargs)
            recorded.encode(trace.retval)
        return recorded.result()

    async def run_async(run_: Run, *args: Any, **kwargs: Any) -> Any:
        recorded = _Recorded(task, run_, args, kwargs)
        signals.task_received.send(sender=None, request=recorded.request)
        with recorded.trace as trace, recorded:
            trace.start()
            trace.retval = await watched(trace.function(*recorded.args, **kwargs), task.definition.name)
            recorded.encode(trace.retval)
        return recorded.result()

    return run_async if is_async else run


class _Recorded:
    """The part of a run that its row records; a `with` block inside that of the trace."""

    def __init__(self, task: "Task", run: Run, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if run.claimed is None:
            raise TypeError("a worker runs claimed tasks")
        self._task = task
        self._run = run
        self._claimed = run.claimed
        options = {} if run.claimed.options is None else msgspec.json.decode(run.claimed.options)
        self._call: dict[str, Any] = options.get("celery", {})
        self.args = with_failure(task, args) if self._call.get("errback") else args
        self.request = _request(task, self._claimed, options, self._call, self.args, kwargs)
        self.trace = Trace(task, self.request)
        self._encoded: str | None = None

    def __enter__(self) -> None: ...

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, Ended):
            try:
                if not isinstance(error, Ignore | Reject | Retry):
                    autoretry(self._task, error)
            except Exception as other:
                self._details(other)
                raise
            self._details(error)
            if isinstance(error, Ignore | Reject):
                raise Ended(self._ignored(error)) from error

    def encode(self, result: Any) -> None:
        """Encode the result, before hooks see it.

        Raises:
            EncodeError: it is not JSON.
        """
        if inspect.iscoroutine(result) or inspect.isgenerator(result):
            return  # the worker reports it
        self._encoded = "null" if self.request.ignore_result else encode(result, f"Result of {self._task.name}")

    def result(self) -> Any:
        """What the worker records."""
        children = [child.as_tuple() for child in self.request.children]
        children += [((child, None), None) for child in self._call.get("children", ())]
        if children:
            self._run.details = encode({"children": children}, "children")
        return self.trace.retval if self._encoded is None else Encoded(self._encoded)

    def _details(self, error: BaseException) -> None:
        cause = error.exc or error if isinstance(error, Retry) else error
        details = describe(cause)
        if children := [child.as_tuple() for child in self.request.children]:
            details["children"] = children
        self._run.details = encode(details, "error")

    def _ignored(self, error: Exception) -> Outcome:
        if isinstance(error, Reject) and error.requeue:
            return outcomes.released(self._claimed, 1.0)
        return Outcome(
            id=self._claimed.id,
            attempt=self._claimed.attempt,
            state=State.REVOKED,
            failure=Failure(IGNORED, f"It raised {error!r}."),
            has_dependents=self._claimed.has_dependents,
        )


def _request(  # parts of a call
    task: "Task",
    claimed: Claimed,
    options: dict[str, Any],
    call: dict[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Context:
    task_id = call.get("task_id") or str(claimed.id)
    limits = options.get("time_limit"), options.get("soft_time_limit")
    return Context(
        id=task_id,
        task=task.name,
        args=list(args),
        kwargs=kwargs,
        retries=claimed.retries,
        called_directly=False,
        correlation_id=task_id,
        delivery_info={
            "exchange": "",
            "routing_key": claimed.queue,
            "priority": claimed.priority,
            "redelivered": claimed.attempt > claimed.retries + 1,
        },
        eta=claimed.eta.isoformat(),
        expires=claimed.expires and claimed.expires.isoformat(),
        group=call.get("group_id"),
        headers=call.get("headers"),
        hostname=f"decant@{platform.node()}",
        ignore_result=bool(call.get("ignore_result", False)),
        parent_id=call.get("parent_id"),
        root_id=call.get("root_id") or task_id,
        shadow=call.get("shadow"),
        timelimit=limits,
    )


def store_state(state: tuple[str, Any]) -> None:
    """Store a state of the running task and its details."""
    run = current_run()
    if run is not None and run.claimed is not None:
        value = encode({"state": state[0], "meta": state[1]}, "meta of update_state")
        wait(store().set_progress(run.claimed.id, run.claimed.attempt, value))
