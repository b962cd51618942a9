"""Entries of `beat_schedule`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from decant.celery.planning import new_task
from decant.celery.schedules import maybe_schedule
from decant.celery.signatures import signature
from decant.tasks.records import NewTask
from decant.tasks.schedule import Schedule

if TYPE_CHECKING:
    from decant.celery.app import Celery
    from decant.celery.canvas import Signature

__all__ = ["Periodic", "entries"]


class Periodic(msgspec.Struct, frozen=True):
    """A call that the sweeper inserts at the ticks of a schedule.

    Attributes:
        app: The app.
        entry: Name of the entry.
        schedule: Its schedule.
        signature: The call.
    """

    app: "Celery"
    entry: str
    schedule: Schedule
    signature: "Signature"

    @property
    def name(self) -> str:
        """Name by which ticks are distinguished from those of other schedules."""
        return f"{self.signature.task} {self.entry}"

    @property
    def expires_s(self) -> float | None:
        """Seconds after a tick at which its task is not started any more."""
        expires = self.signature.options.get("expires")
        return float(expires) if isinstance(expires, int | float) else None

    def at(self, options: Mapping[str, Any]) -> NewTask:
        """The task of a tick."""
        given = {**self.signature.options, **options}
        return new_task(self.app, self.signature.task, self.signature.args, self.signature.kwargs, given)


def entries(app: "Celery") -> list[Periodic]:
    """The entries of `beat_schedule` and of `add_periodic_task`."""
    found = dict(app.periodic)
    for name, entry in (app.conf.beat_schedule or {}).items():
        args, kwargs, options = (entry.get(key) for key in ("args", "kwargs", "options"))
        call = signature(entry["task"], tuple(args or ()), dict(kwargs or {}), dict(options or {}), app=app)
        found[name] = Periodic(app, name, maybe_schedule(entry["schedule"]), call)
    return list(found.values())
