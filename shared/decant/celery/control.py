"""`app.control`: revoke tasks, and read from PostgreSQL what workers run."""

import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from decant.celery import loading
from decant.celery.blocking import wait
from decant.celery.exceptions import Unsupported
from decant.celery.planning import row_id
from decant.tasks.admin import list_tasks
from decant.tasks.lists import Summary
from decant.tasks.records import State
from decant.tasks.registry import load_modules
from decant.tasks.store import store

if TYPE_CHECKING:
    from decant.celery.app import Celery

__all__ = ["INSTEAD", "Control", "Inspect"]

_MOST = 1_000
INSTEAD = {
    "broadcast": "Deploy other settings; workers have no remote control.",
    "cancel_consumer": "Start `python -m decant worker -Q` without the queue.",
    "add_consumer": "Start `python -m decant worker -Q` with the queue.",
    "autoscale": "Set the event source's MaximumConcurrency.",
    "pool_grow": "Set TASK_CONCURRENCY.",
    "pool_shrink": "Set TASK_CONCURRENCY.",
    "pool_restart": "Restart the worker.",
    "shutdown": "Send SIGTERM to the worker.",
    "rate_limit": "Set rate_limit where the task is defined.",
    "time_limit": "Set time_limit where the task is defined.",
    "purge": "Revoke the tasks: `app.control.revoke(ids)`.",
    "discard_all": "Revoke the tasks: `app.control.revoke(ids)`.",
    "enable_events": "Read the table: `decant.tasks.admin.list_tasks()`.",
    "disable_events": "Read the table: `decant.tasks.admin.list_tasks()`.",
    "heartbeat": "Read the table: `decant.tasks.admin.list_tasks()`.",
    "terminate": "Use `app.control.revoke(id, terminate=True)`.",
}


class Control:
    """Remote control of workers, as far as it needs no worker."""

    def __init__(self, app: "Celery") -> None:
        self.app = app

    def revoke(
        self,
        task_id: str | Iterable[str],
        destination: Any = None,
        terminate: bool = False,
        signal: Any = None,
        **kwargs: Any,
    ) -> None:
        """Prevent tasks from being started.

        Args:
            task_id: Id or ids.
            destination: Accepted without effect.
            terminate: Also cancel runs, at their next heartbeat.
            signal: Accepted without effect.
            kwargs: No effect.
        """
        del destination, signal, kwargs
        ids = [task_id] if isinstance(task_id, str) else task_id
        wait(store().revoke([row_id(each) for each in ids], terminate=terminate))

    def inspect(self, *_args: Any, **_kwargs: Any) -> "Inspect":
        """What workers run."""
        return Inspect(self.app)

    def ping(self, *_args: Any, **_kwargs: Any) -> list[dict[str, Any]]:
        """One reply: PostgreSQL responds."""
        wait(list_tasks(count=1))
        return [{_worker(): {"ok": "pong"}}]

    def __getattr__(self, name: str) -> NoReturn:
        if name in INSTEAD:
            raise Unsupported(f"app.control.{name} does not exist here. {INSTEAD[name]}")
        raise AttributeError(f"'Control' object has no attribute {name!r}")


class Inspect:
    """Tasks by state. Every method returns a dict with one key, the name that stands for all workers."""

    def __init__(self, app: "Celery") -> None:
        self.app = app

    def active(self, *_args: Any, **_kwargs: Any) -> dict[str, list[dict[str, Any]]]:
        """Tasks that run."""
        return _by_worker([_shown(task) for task in _listed(State.STARTED)])

    def scheduled(self, *_args: Any, **_kwargs: Any) -> dict[str, list[dict[str, Any]]]:
        """Tasks that are due later."""
        later = [task for task in _open() if task.eta > task.date_created and not _is_due(task)]
        return _by_worker([{"eta": task.eta.isoformat(), "priority": 6, "request": _shown(task)} for task in later])

    def reserved(self, *_args: Any, **_kwargs: Any) -> dict[str, list[dict[str, Any]]]:
        """Tasks that are due and wait."""
        return _by_worker([_shown(task) for task in _open() if _is_due(task)])

    def revoked(self, *_args: Any, **_kwargs: Any) -> dict[str, list[str]]:
        """Ids of the tasks that were revoked last."""
        return _by_worker([str(task.id) for task in _listed(State.REVOKED)])

    def registered(self, *_args: Any, **_kwargs: Any) -> dict[str, list[str]]:
        """Names of the tasks of all modules that workers import."""
        load_modules()
        return _by_worker(sorted(loading.tasks))

    registered_tasks = registered

    def ping(self, *_args: Any, **_kwargs: Any) -> dict[str, dict[str, str]]:
        """A reply."""
        return self.app.control.ping()[0]

    def __getattr__(self, name: str) -> NoReturn:
        if name in {
            "stats",
            "report",
            "clock",
            "conf",
            "memsample",
            "memdump",
            "objgraph",
            "active_queues",
            "query_task",
            "hello",
        }:
            raise Unsupported(f"inspect().{name}() does not exist here. Read `decant.tasks.admin.queue_statistics()`.")
        raise AttributeError(f"'Inspect' object has no attribute {name!r}")


def _worker() -> str:
    return f"decant@{platform.node()}"


def _by_worker[T](value: T) -> dict[str, T]:
    return {_worker(): value}


def _listed(state: State) -> list[Summary]:
    return wait(list_tasks(state=state, count=_MOST)).tasks


def _open() -> list[Summary]:
    return [task for state in (State.PENDING, State.RETRY) for task in _listed(state)]


def _is_due(task: Summary) -> bool:
    from datetime import UTC, datetime

    return task.eta <= datetime.now(UTC)


def _shown(task: Summary) -> dict[str, Any]:
    return {
        "id": str(task.id),
        "name": task.name,
        "type": task.name,
        "args": None,
        "kwargs": None,
        "hostname": _worker(),
        "time_start": None if task.date_started is None else task.date_started.timestamp(),
        "acknowledged": task.state is State.STARTED,
        "delivery_info": {"exchange": "", "routing_key": task.queue, "priority": None, "redelivered": task.retries > 0},
        "worker_pid": None,
    }
