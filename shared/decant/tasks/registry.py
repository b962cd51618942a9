"""Every task that this process knows, by name: those whose modules have been imported."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decant.tasks.task import Task

__all__ = ["register", "registry"]

registry: "dict[str, Task[..., Any]]" = {}


def register[T: "Task[..., Any]"](new: T) -> T:
    """Make a task known.

    Raises:
        ValueError: another function is a task of this name.
    """
    known = registry.get(new.name)
    if known is not None and _origin(known) != _origin(new):
        raise ValueError(f"two functions are tasks named {new.name!r}: {_origin(known)} and {_origin(new)}")
    registry[new.name] = new
    return new


def _origin(task: "Task[..., Any]") -> str:
    return f"{task.function.__module__}.{task.function.__qualname__}"
