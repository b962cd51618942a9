"""Translate calls and workflows of Celery into tasks to insert."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from decant.celery import loading, request
from decant.celery.blocking import wait
from decant.celery.exceptions import NotRegistered
from decant.celery.parameters import CallParameters
from decant.config import load
from decant.tasks.ids import uuid7
from decant.tasks.options import TaskOptions, TaskSettings
from decant.tasks.publish import enqueue
from decant.tasks.records import NewTask
from decant.tasks.registry import load_modules, registry
from decant.tasks.task import Task as Definition
from decant.tasks.workflow import Plan, Upstream

if TYPE_CHECKING:
    from decant.celery.app import Celery
    from decant.celery.task import Task

__all__ = ["Call", "Plan", "Upstream", "insert", "new_task", "remote", "row_id"]

_ROW_OPTIONS = ("countdown", "priority", "soft_time_limit", "time_limit")


def row_id(task_id: str) -> UUID:
    """Id of the row of a task: its id if that is a UUID, else an id that is derived from it."""
    try:
        return UUID(task_id)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"decant.celery:{task_id}")


def new_task(
    app: "Celery",
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    partial: bool = False,
    unchecked: bool = False,
) -> NewTask:
    """The task to insert for a call.

    Args:
        app: The app, whose settings apply.
        name: Name of the task.
        args: Positional arguments.
        kwargs: Keyword arguments.
        options: Options of `apply_async`.
        partial: Another argument will be inserted before the first.
        unchecked: Do not check the number and the names of the arguments.
    Raises:
        NotRegistered: `TASK_MODULES` is set, and none of its modules defines a task of this name.
        TypeError: the arguments do not fit the task's parameters, or are not JSON.
    """
    task = loading.tasks.get(name)
    definition = remote(name) if unchecked else definition_of(name)
    defaults = {} if task is None else _defaults(task, app)
    given = defaults | {key: value for key, value in options.items() if value is not None}
    row = {key: given[key] for key in _ROW_OPTIONS if given.get(key) is not None}
    for key in ("eta", "expires"):
        if (value := given.get(key)) is not None:
            row[key] = _time(app, value)
    if "eta" in row:
        row.pop("countdown", None)
    row["queue"] = app.queue_for(name, args, kwargs, given)
    if isinstance(expires := row.get("expires"), int | float) and expires <= 0:
        row["expires"] = datetime.now(UTC) - timedelta(seconds=1)
    task_id = given.get("task_id") or str(uuid7())
    row["task_id"] = row_id(task_id)
    new = definition.new(args, kwargs, row, partial=partial)
    return msgspec.structs.replace(new, options={**new.options, "celery": _call(task_id, given)})


def _defaults(task: "Task", app: "Celery") -> dict[str, Any]:
    """Options of the task and of the settings that apply to its calls."""
    conf = app.conf
    options = {
        "time_limit": task.time_limit if task.time_limit is not None else conf.task_time_limit,
        "soft_time_limit": task.soft_time_limit if task.soft_time_limit is not None else conf.task_soft_time_limit,
        "expires": task.expires,
        "priority": task.priority if task.priority is not None else conf.task_default_priority,
        "queue": task.queue or task.routing_key,
        "ignore_result": conf.task_ignore_result if task.ignore_result is None else task.ignore_result,
    }
    return {name: value for name, value in options.items() if value is not None}


def _time(app: "Celery", value: Any) -> Any:
    """An aware time; a number of seconds and an aware time as they are."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=app.timezone)
    return value


_STORED = ("headers", "ignore_result", "shadow", "group_id", "reply_to", "errback")


def _call(task_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the worker needs of a call beside its arguments."""
    stored = {key: given[key] for key in _STORED if given.get(key)}
    if str(row_id(task_id)) != task_id:
        stored["task_id"] = task_id
    parent = request.current()
    if parent is not None and parent[1].id:
        stored |= {"parent_id": parent[1].id, "root_id": parent[1].root_id or parent[1].id}
    return stored | {key: given[key] for key in ("parent_id", "root_id") if given.get(key)}


class Call:
    """A call in a workflow; see `decant.tasks.workflow.Call`.

    Args:
        app: The app.
        signature: A signature of a task.
        errbacks: Tasks to insert when it fails.
    """

    def __init__(self, app: "Celery", signature: Any, errbacks: Sequence[NewTask] = ()) -> None:
        self._app = app
        self._signature = signature
        self._errbacks = tuple(errbacks)
        self.immutable = bool(signature.immutable)
        chosen = signature.options.get("task_id")
        self.task_id = None if chosen is None else row_id(chosen)

    def new(self, first: Sequence[object] = (), *, partial: bool) -> NewTask:
        """The task to insert."""
        call = self._signature
        new = new_task(self._app, call.task, (*first, *call.args), call.kwargs, call.options, partial=partial)
        return msgspec.structs.replace(new, on_error=self._errbacks)


def insert(tasks: Sequence[NewTask]) -> list[UUID]:
    """Insert tasks, and publish them; blocks until the rows are committed."""
    return wait(enqueue(tasks, None))


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """Function of a task that another process defines."""


@cache
def remote(name: str) -> Definition[..., Any]:
    """Definition of a task that only workers define."""
    definition = Definition(_nothing, TaskOptions(name=name))
    definition.parameters = CallParameters(name, None)
    return definition


def definition_of(name: str) -> Definition[..., Any]:
    """Definition of a task.

    Raises:
        NotRegistered: `TASK_MODULES` is set, and none of its modules defines a task of this name.
    """
    if name not in loading.tasks and load(TaskSettings).modules:
        load_modules()
        if name not in registry:
            close = get_close_matches(name, registry, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise NotRegistered(f"No module of TASK_MODULES defines the task {name!r}.{hint}")
    found = loading.tasks.get(name)
    return remote(name) if found is None else found.definition
