"""When and where one run of a task goes: the options of `apply_async`, checked at the caller."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from decant.tasks.ids import uuid7

__all__ = ["Delivery", "columns"]


class Delivery(TypedDict, total=False):
    """Options of one run, with Celery's names and meanings.

    Attributes:
        countdown: Seconds to wait before the run, any number from 0.
        eta: Time before which it does not run, aware, however far off; goes before `countdown`.
        expires: Seconds, or aware time, after which it is not started any more.
        task_id: Id to give it, a UUID; when a task has it already, that one stands for this.
        queue: Queue to put it on instead of the task's own.
        priority: Of the tasks that a worker has at hand, the greater one starts first.
        idempotency_key: When a run of this task had the same key, ever, that one stands for this.
        group_key: Tenant, or whatever else shares a queue fairly: a flood of one delays the others little.
    """

    countdown: float
    eta: datetime | None
    expires: float | datetime | None
    task_id: str | UUID | None
    queue: str | None
    priority: int
    idempotency_key: str | None
    group_key: str | None


def columns(delivery: Mapping[str, Any]) -> dict[str, Any]:
    """The options as columns of a row, its queue left out.

    Raises:
        TypeError: there is no such option.
        ValueError: a time is not aware, a number of seconds is negative, an id is no UUID.
    """
    unknown = delivery.keys() - Delivery.__annotations__.keys()
    if unknown:
        raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
    task_id = delivery.get("task_id")
    return {
        "id": UUID(str(task_id)) if task_id else uuid7(),
        "countdown_s": _seconds("countdown", delivery.get("countdown", 0)),
        "eta": _aware("eta", delivery.get("eta")),
        "priority": delivery.get("priority", 0),
        "idempotency_key": delivery.get("idempotency_key"),
        "group_key": delivery.get("group_key"),
        **_expires(delivery.get("expires")),
    }


def _expires(value: float | datetime | None) -> dict[str, Any]:
    if value is None or isinstance(value, datetime):
        return {"expires": _aware("expires", value)}
    return {"expires_in_s": _seconds("expires", value)}


def _seconds(name: str, value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a number of seconds from 0, not {value!r}")
    return float(value)


def _aware(name: str, value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{name} must be an aware time: without a zone it means another time on every machine")
    return value
