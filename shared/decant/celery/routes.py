"""Queues of calls: `task_routes`."""

import fnmatch
import importlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from decant.celery.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from decant.celery.app import Celery

__all__ = ["queue_of"]


def queue_of(app: "Celery", name: str, args: Any, kwargs: Any, options: Mapping[str, Any]) -> str:
    """Queue of a call: its own option, else the first route that matches, else the default queue.

    Celery's queue `celery` is the queue `default`.
    """
    given = options.get("queue") or options.get("routing_key") or _routed(app, name, args, kwargs, options)
    queue = _name(given or app.conf.task_default_queue)
    return "default" if queue == "celery" else queue


def _routed(app: "Celery", name: str, args: Any, kwargs: Any, options: Mapping[str, Any]) -> Any:
    for router in _routers(app.conf.task_routes):
        if isinstance(router, Mapping):
            route = _match(router, name)
        else:
            function = _resolve(router) if isinstance(router, str) else router
            function = getattr(function, "route_for_task", function)
            route = function(name, args, kwargs, dict(options), task=app.tasks.get(name))
        if route:
            return route if isinstance(route, str) else route.get("queue") or route.get("routing_key")
    return None


def _routers(setting: Any) -> Iterable[Any]:
    if not setting:
        return ()
    if isinstance(setting, Mapping | str) or callable(setting):
        return (setting,)
    routers = list(setting)
    pairs = all(isinstance(item, tuple | list) and len(item) == 2 for item in routers)  # noqa: PLR2004  # (pattern, route)
    return (dict(routers),) if pairs and routers and isinstance(routers[0][0], str | re.Pattern) else routers


def _match(routes: Mapping[Any, Any], name: str) -> Any:
    for pattern, route in routes.items():
        if isinstance(pattern, re.Pattern):
            matches = pattern.match(name) is not None
        else:
            matches = pattern == name or (("*" in pattern or "?" in pattern) and fnmatch.fnmatchcase(name, pattern))
        if matches:
            return route
    return None


def _resolve(path: str) -> Any:
    module, _, attribute = path.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ImproperlyConfigured(f"task_routes: {path!r} cannot be imported: {error}") from error
    return found() if isinstance(found, type) else found


def _name(queue: Any) -> str:
    return str(getattr(queue, "name", queue))
