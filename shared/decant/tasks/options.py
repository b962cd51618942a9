"""Options of tasks and of calls, and the settings of task queues.

`TaskOptions` is the only list of the options of `@task`, and `CallOptions` that of the options of `apply_async()`. An
option of both lists applies to all calls of a task, and a call can replace it. It is stored with the call in the column
`options`, so that a new option needs no migration.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypedDict
from uuid import UUID

import msgspec

from decant import runtime
from decant.config import count, load, named_urls, names, seconds, setting, settings_group
from decant.errors import ConfigError
from decant.observability import LogSettings
from decant.tasks import checks
from decant.tasks.limits import limit_of
from decant.tasks.schedule import Schedule

__all__ = ["MAX_DELAY_S", "CallOptions", "TaskOptions", "TaskSettings", "has_url", "is_published", "validate"]

log = logging.getLogger("decant.tasks")

MAX_DELAY_S = 900
"""Longest delay of a message, seconds. Source: SQS SendMessage, DelaySeconds."""

type Errors = tuple[type[Exception], ...]


@settings_group
class TaskSettings:
    """Settings of task queues and workers."""

    queue_urls: Mapping[str, str] = setting(
        "TASK_QUEUE_URLS",
        named_urls,
        "SQS queues by name, `default=https://…,mail=https://…`",
        default=MappingProxyType({}),
    )
    concurrency: int = setting(
        "TASK_CONCURRENCY", count, "Maximum number of tasks that a worker environment runs at once", default=100
    )
    margin_s: float = setting(
        "TASK_MARGIN_S",
        seconds,
        "Seconds at the end of an invocation reserved for recording results",
        default=2.0,
    )
    heartbeat_s: float = setting(
        "TASK_HEARTBEAT_S", seconds, "Seconds between two checks whether running tasks were revoked", default=5.0
    )
    result_expires_s: float = setting(
        "TASK_RESULT_EXPIRES_S", seconds, "Seconds after which a finished task is deleted", default=604_800.0
    )
    modules: tuple[str, ...] = setting(
        "TASK_MODULES", names, "Modules that define tasks, `shop.tasks,shop.mail`; workers import them", default=()
    )
    republish_after_s: float = setting(
        "TASK_REPUBLISH_AFTER_S",
        seconds,
        "Seconds after which the sweeper republishes a task that no worker has claimed",
        default=300.0,
        formerly="TASK_PATIENCE_S",
    )


def has_url(queue: str) -> bool:
    """Whether tasks of the queue are published to SQS."""
    return queue in load(TaskSettings).queue_urls


def is_published(queue: str) -> bool:
    """Whether the tasks of a queue are published to SQS; other tasks wait for a worker that polls the table.

    Raises:
        ConfigError: TASK_QUEUE_URLS of this Lambda function names other queues: nothing would run the task.
    """
    urls = load(TaskSettings).queue_urls
    if queue in urls:
        return True
    if load(LogSettings).function_name:  # elsewhere, a worker in this process can serve any queue
        if urls:
            raise ConfigError([f"TASK_QUEUE_URLS: names no queue {queue!r}, only {', '.join(sorted(urls))}"])
        runtime.current().get(_Unpublished, _Unpublished)
    return False


class _Unpublished:
    """Logs that tasks are not published, once per runtime."""

    def __init__(self) -> None:
        log.warning("TASK_QUEUE_URLS is not set: tasks are stored and not published; no function runs them")


class TaskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `@task`, with Celery's names, meanings and defaults.

    Attributes:
        name: Name in the table; the function's module and qualified name by default.
        queue: Default queue of its calls.
        max_retries: Maximum number of retries after the first run, so that 3 means four runs; None for no bound. A
            run whose worker was lost counts.
        autoretry_for: Errors after which the task is retried.
        dont_autoretry_for: Subclasses of those after which it is not.
        retry_backoff: True or the delay of the first retry in seconds: the delay doubles with every retry.
        retry_backoff_max: Maximum of that delay, seconds.
        retry_jitter: Choose that delay at random between 1 s and its value.
        default_retry_delay: Delay of all other retries, seconds.
        time_limit: Seconds after which a run is cancelled and fails. The remaining time of the invocation is a limit
            as well.
        soft_time_limit: Seconds after which `SoftTimeLimitExceeded` is raised inside the run.
        expires: Seconds after which a call is not started any more, counted from the call, from the tick of a
            schedule, or from the time at which the previous part of a workflow has ended.
        unique: A call with the arguments of an unfinished call is not enqueued, and the handle of that call is
            returned. A function of the arguments, with defaults applied, returns the key to compare instead: any JSON.
            All ticks of a schedule are kept.
        ignore_result: Do not store the result.
        schedule: Times at which the task is enqueued without arguments: `every(30)`, `cron("0 3 * * *")`.
        bind: The function's first parameter receives the `Run`.
        rate_limit: Starts over all workers, Celery's "100/m", "10/s" or "5/h", or a number per second. They are spaced
            evenly.
        concurrency: Maximum number of runs at a time over all workers.
        concurrency_key: Function of the arguments, with defaults applied, that returns a key, any JSON: `concurrency`
            is then the maximum for each key. None as the key means no limit. Calls in a workflow that receive a result
            as their first argument share one key.
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
    unique: bool | Callable[..., Any] | None = None
    ignore_result: bool = False
    schedule: Schedule | None = None
    bind: bool = False
    rate_limit: str | float | None = None
    concurrency: int | None = None
    concurrency_key: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        for name in ("retry_backoff_max", "default_retry_delay"):
            checks.seconds(name, getattr(self, name))
        for name in ("time_limit", "soft_time_limit", "expires"):
            if getattr(self, name) is not None:
                checks.seconds(name, getattr(self, name))
        if not isinstance(self.retry_backoff, bool):
            checks.seconds("retry_backoff", self.retry_backoff)
        if self.max_retries is not None:
            checks.count("max_retries", self.max_retries)
        limit_of("", self.rate_limit, self.concurrency)  # raises
        if self.concurrency_key is not None and (self.concurrency is None or self.rate_limit is not None):
            raise TypeError("concurrency_key needs concurrency, and no rate_limit, which is that of all keys")
        checks.text("queue", self.queue)
        if self.name is not None:  # a name is part of the statement that claims all tasks
            checks.text("name", self.name)

    def of_call(self, stored: str | None) -> "TaskOptions":
        """The options of a call.

        Args:
            stored: The options that the call replaces, a JSON object; those that no longer exist are ignored.
        """
        if stored is None:
            return self
        replaced = msgspec.json.decode(stored, type=dict[str, Any])
        return msgspec.structs.replace(self, **{name: replaced[name] for name in replaced.keys() & _STORED})


class CallOptions(TypedDict, total=False):
    """Options of a call, with Celery's names and meanings. None means the default, which is the task's if it has any.

    Attributes:
        countdown: Seconds until the run, any number from 0.
        eta: Aware time before which the task does not run, however far away; takes precedence over `countdown`.
        expires: Seconds, counted as those of the task, or aware time after which the task is not started any more.
        task_id: Id of the task, a UUID. If a task with this id exists, its handle is returned.
        queue: Queue that replaces the task's own.
        priority: A worker starts tasks with a greater priority first, among those that it has received.
        idempotency_key: If this task was ever called with the same key, the handle of that call is returned. Text, or
            any other JSON, which is compared by its digest.
        group_key: Key of a tenant or similar: SQS delivers the messages of different keys fairly.
        time_limit: Replaces that of the task.
        soft_time_limit: Replaces that of the task.
        ignore_result: Replaces that of the task.
    """

    countdown: float | None
    eta: datetime | None
    expires: float | datetime | None
    task_id: str | UUID | None
    queue: str | None
    priority: int | None
    idempotency_key: Any
    group_key: str | None
    time_limit: float | None
    soft_time_limit: float | None
    ignore_result: bool


_CALL_OPTIONS = CallOptions.__annotations__.keys()
_STORED = (_CALL_OPTIONS & set(TaskOptions.__struct_fields__)) - {"queue", "expires"}  # these have columns


def _task_id(name: str, value: str | UUID) -> UUID:
    try:
        return UUID(str(value))
    except ValueError as error:
        raise ValueError(f"{name} must be a UUID, not {value!r}") from error


_FIELDS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "countdown": ("countdown_s", checks.seconds),
    "eta": ("eta", checks.aware),
    "group_key": ("group_key", checks.text),
    "idempotency_key": ("idempotency_key", checks.key),
    "priority": ("priority", checks.priority),
    "queue": ("queue", checks.text),
    "task_id": ("id", _task_id),
}
"""Fields of `NewTask`, and the check of the value, by the option of a call."""


def validate(options: Mapping[str, Any]) -> dict[str, Any]:
    """Check the options of a call and return them as fields of `NewTask`; options that are None are left out.

    Raises:
        TypeError: an option does not exist, or has another type.
        ValueError: a time is not aware, a number is out of range, an id is not a UUID, a text contains NUL.
    """
    unknown = options.keys() - _CALL_OPTIONS
    if unknown:
        raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
    given = {name: value for name, value in options.items() if value is not None}
    fields = {field: check(name, given[name]) for name, (field, check) in _FIELDS.items() if name in given}
    return fields | {"options": _stored(given)} | _expires(given.get("expires"))


def _stored(options: Mapping[str, Any]) -> dict[str, Any]:
    stored = {name: options[name] for name in options.keys() & _STORED}
    for name, value in stored.items():
        try:
            msgspec.convert(value, CallOptions.__annotations__[name])
        except msgspec.ValidationError as error:
            raise TypeError(f"{name}: {error}") from error
    return stored


def _expires(value: float | datetime | None) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, datetime):
        return {"expires": checks.aware("expires", value)}
    return {"expires_in_s": checks.seconds("expires", value)}
