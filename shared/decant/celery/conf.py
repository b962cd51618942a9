"""Settings of an app, `app.conf`: those that have an effect, those that have none, and those that are rejected."""

import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from decant.celery.exceptions import ImproperlyConfigured, Unsupported, UnsupportedWarning

__all__ = ["DEFAULTS", "WITHOUT_EFFECT", "Settings"]

DEFAULTS: dict[str, Any] = {
    "beat_schedule": {},
    "broker_url": None,
    "enable_utc": True,
    "imports": (),
    "include": (),
    "result_backend": None,
    "result_expires": 86_400,
    "task_always_eager": False,
    "task_annotations": None,
    "task_default_priority": None,
    "task_default_queue": "default",
    "task_eager_propagates": False,
    "task_ignore_result": False,
    "task_routes": None,
    "task_serializer": "json",
    "task_soft_time_limit": None,
    "task_store_errors_even_if_ignored": False,
    "task_time_limit": None,
    "task_track_started": False,
    "timezone": None,
}
"""Settings that have an effect, or that code reads, with their defaults."""

WITHOUT_EFFECT = {
    "result_expires": "Set TASK_RESULT_EXPIRES_S.",
    "task_acks_late": "A task whose worker is lost always runs again.",
    "task_reject_on_worker_lost": "A task whose worker is lost always runs again.",
    "worker_concurrency": "Set TASK_CONCURRENCY, or `python -m decant worker -c`.",
    "worker_pool": "Synchronous tasks run in threads, asynchronous tasks on the event loop; remove the setting.",
    "worker_max_tasks_per_child": "Lambda replaces environments; restart containers with their orchestrator.",
    "worker_max_memory_per_child": "Set the memory limit of the function or of the container.",
    "task_default_rate_limit": "Set rate_limit where the task is defined.",
    "task_queues": "A queue is a name; `decant new queue NAME` adds it to the template.",
    "beat_scheduler": "The sweeper inserts the tasks of schedules; remove the setting.",
    "task_annotations": "Set the options where the task is defined.",
}
"""Settings whose absence a user may notice, with what to do instead. All other settings of Celery are ignored."""


def _must_be_json(value: Any) -> str | None:
    names = {value} if isinstance(value, str) else set(value)
    wrong = sorted(names - {"json", "application/json"})
    return f"{', '.join(wrong)} cannot be used: arguments and results are JSON. Remove the setting." if wrong else None


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "task_serializer": _must_be_json,
    "result_serializer": _must_be_json,
    "accept_content": lambda value: None if "json" in value or "application/json" in value else _must_be_json(value),
    "broker_transport": lambda value: f"{value!r}: tasks are in PostgreSQL. Remove the setting.",
}

_OLD_NAMES = {
    "celery_always_eager": "task_always_eager",
    "celery_default_queue": "task_default_queue",
    "celery_ignore_result": "task_ignore_result",
    "celery_routes": "task_routes",
    "celery_task_result_expires": "result_expires",
    "celery_track_started": "task_track_started",
    "celeryd_task_soft_time_limit": "task_soft_time_limit",
    "celeryd_task_time_limit": "task_time_limit",
    "celerybeat_schedule": "beat_schedule",
}


class Settings(MutableMapping[str, Any]):
    """The settings, as attributes and as items.

    Args:
        given: Settings that differ from the defaults.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        vars(self)["_values"] = dict(DEFAULTS)
        vars(self)["_changed"] = dict[str, Any]()
        self.update(given)

    def __getitem__(self, name: str) -> Any:
        return self._values[_name(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        """Change a setting.

        Raises:
            Unsupported: the value cannot be used; the message names the alternative.
        """
        key = _name(name)
        problem = _CHECKS[key](value) if key in _CHECKS and value else None
        if problem:
            raise Unsupported(f"{name}: {problem}")
        if key in WITHOUT_EFFECT and value:
            message = f"The setting {name} has no effect. {WITHOUT_EFFECT[key]}"
            warnings.warn(message, UnsupportedWarning, stacklevel=3)
        self._values[key] = self._changed[key] = value

    def __delitem__(self, name: str) -> None:
        self._changed.pop(_name(name))
        self._values[_name(name)] = DEFAULTS.get(_name(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(f"No such setting: {name}") from error

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    @property
    def changes(self) -> dict[str, Any]:
        """The settings that differ from the defaults."""
        return dict(self._changed)

    def read(self, source: Any, namespace: str | None = None) -> None:
        """Read settings from a module, its name, an object or a mapping.

        Args:
            source: The settings.
            namespace: Only names that begin with it and `_` are read, in upper case: `CELERY_TASK_ROUTES`.
        Raises:
            ImproperlyConfigured: the module cannot be imported.
        """
        values = _values(source)
        if namespace:
            prefix = f"{namespace.rstrip('_')}_"
            values = {name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)}
        for name, value in values.items():
            if name.islower() or name.isupper():
                self[name] = value


def _values(source: Any) -> dict[str, Any]:
    if isinstance(source, Mapping):
        return dict(source)
    if isinstance(source, str):
        path, _, attribute = source.partition(":")
        try:
            source = importlib.import_module(path)
            source = getattr(source, attribute) if attribute else source
        except (ImportError, AttributeError) as error:
            try:  # an object in a module: `proj.config.Development`
                module, _, attribute = path.rpartition(".")
                source = getattr(importlib.import_module(module), attribute)
            except (ImportError, AttributeError, ValueError):
                raise ImproperlyConfigured(f"The settings {path!r} cannot be imported: {error}") from error
    if isinstance(source, Mapping):
        return dict(source)
    names = [name for name in dir(source) if not name.startswith("_")]
    return {name: getattr(source, name) for name in names if not callable(getattr(source, name))}


def _name(name: str) -> str:
    lower = name.lower()
    return _OLD_NAMES.get(lower, lower)
