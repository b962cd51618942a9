"""Run tasks in the caller's process: `apply()` and `task_always_eager`."""

import inspect
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from decant.celery import request, states
from decant.celery.exceptions import Ignore, Reject, Retry
from decant.celery.result import EagerResult
from decant.celery.retrying import autoretry
from decant.celery.signatures import maybe_signature
from decant.celery.tracing import ExceptionInfo, Trace
from decant.celery.utils import uuid

if TYPE_CHECKING:
    from decant.celery.task import Task

__all__ = ["Call", "run"]


class Call(NamedTuple):
    """A call to run."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    id: str
    retries: int
    options: Mapping[str, Any]


def run(task: "Task", call: Call, *, link: Sequence[Any], link_error: Sequence[Any], throw: bool) -> EagerResult:
    """Run a task, its retries and its callbacks; retries do not wait.

    Raises:
        Exception: the task's error, with `throw`.
    """
    context = _request(task, call)
    trace = Trace(task, context, eager=True)
    try:
        with trace:
            try:
                trace.start()
                trace.retval = trace.function(*call.args, **call.kwargs)
            except Exception as error:
                if not isinstance(error, Ignore | Reject | Retry):
                    autoretry(task, error)
                raise
    except Retry as error:
        args, kwargs = (error.sig.args, error.sig.kwargs) if error.sig is not None else (call.args, call.kwargs)
        again = Call(tuple(args), kwargs, uuid(), call.retries + 1, call.options)
        return run(task, again, link=link, link_error=link_error, throw=throw)
    except (Ignore, Reject) as error:
        return EagerResult(call.id, error, trace.state or states.IGNORED, name=task.name)
    except Exception as error:
        for errback in link_error:
            _call_errback(errback, context, error)
        if throw:
            raise
        return EagerResult(call.id, error, states.FAILURE, ExceptionInfo(error).traceback, name=task.name)
    for callback in link:
        made = maybe_signature(callback)
        if made is not None:
            made.apply_async((trace.retval,))
    return EagerResult(call.id, trace.retval, states.SUCCESS, name=task.name)


def _request(task: "Task", call: Call) -> request.Context:
    above = request.current()
    parent = None if above is None else above[1]
    return request.Context(
        id=call.id,
        task=task.name,
        args=call.args,
        kwargs=call.kwargs,
        retries=call.retries,
        called_directly=False,
        is_eager=True,
        hostname=platform.node(),
        parent_id=parent and parent.id,
        root_id=(parent and parent.root_id) or call.id,
        headers=call.options.get("headers"),
        ignore_result=call.options.get("ignore_result", bool(task.ignore_result)),
        delivery_info={
            "is_eager": True,
            "exchange": None,
            "routing_key": None,
            "priority": call.options.get("priority"),
        },
    )


def _call_errback(callback: Any, context: request.Context, error: Exception) -> None:
    made = maybe_signature(callback)
    if made is None:
        return
    if len(inspect.signature(made.type.run).parameters) > 1:
        made(context, error, error.__traceback__)
    else:
        made.apply((context.id,))
