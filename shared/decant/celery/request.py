"""The call that a task runs: `self.request`."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decant.celery.task import Task

__all__ = ["Context", "current", "drop", "pushed"]


class Context:
    """The attributes of `self.request`, with Celery's names. Attributes that a call does not have are None."""

    args: Any = None
    kwargs: Any = None
    callbacks: Any = None
    called_directly: bool = True
    chain: Any = None
    chord: Any = None
    correlation_id: str | None = None
    delivery_info: dict[str, Any] | None = None
    errbacks: Any = None
    eta: str | None = None
    expires: str | None = None
    group: str | None = None
    group_index: int | None = None
    headers: dict[str, Any] | None = None
    hostname: str | None = None
    id: str | None = None
    ignore_result: bool = False
    is_eager: bool = False
    origin: str | None = None
    parent_id: str | None = None
    properties: Any = None
    reply_to: str | None = None
    retries: int = 0
    root_id: str | None = None
    shadow: str | None = None
    task: str | None = None
    timelimit: Any = None

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)
        self.children: list[Any] = []
        self.state: tuple[str, Any] | None = None

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute, or the default."""
        return getattr(self, key, default)

    def __repr__(self) -> str:
        return f"<Context: {vars(self)!r}>"


type _Stack = tuple[tuple["Task", Context], ...]
_stack: ContextVar[_Stack] = ContextVar("decant_celery_requests", default=())


class pushed:  # noqa: N801  # reads as a word in `with pushed(task, request):`
    """Make a request the current request of a task inside a `with` block."""

    def __init__(self, task: "Task", request: Context) -> None:
        self._entry = (task, request)

    def __enter__(self) -> Context:
        _stack.set((*_stack.get(), self._entry))
        return self._entry[1]

    def __exit__(self, *_error: object) -> None:
        _stack.set(tuple(entry for entry in _stack.get() if entry is not self._entry))


def current(task: "Task | None" = None) -> "tuple[Task, Context] | None":
    """The task and the request that run now; with a task, that task's last request."""
    for entry in reversed(_stack.get()):
        if task is None or entry[0] is task:
            return entry
    return None


def drop(entry: "tuple[Task, Context]") -> None:
    """Let a request not be current any more."""
    _stack.set(tuple(each for each in _stack.get() if each is not entry))
