"""`Signature`: a call of a task as a dict, which can be stored, changed and sent later."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Self

from decant.celery import loading
from decant.celery.exceptions import NotRegistered, Unsupported
from decant.celery.utils import uuid

if TYPE_CHECKING:
    from decant.celery.app import Celery
    from decant.celery.task import Task

__all__ = ["Signature", "as_signature", "maybe_signature", "signature"]


def _item(name: str) -> Any:
    """A property that is an item of the dict."""
    return property(lambda self: self[name], lambda self, value: self.__setitem__(name, value))


class Signature(dict[str, Any]):
    """A call of a task.

    Args:
        task: Name of the task, the task, or a dict that is a signature.
        args: Positional arguments.
        kwargs: Keyword arguments.
        options: Options of `apply_async`.
        type: The task.
        subtask_type: Kind of a workflow.
        immutable: Results of previous tasks are not passed.
        app: The app; the current app by default.
        ex: More options.
    """

    TYPES: ClassVar[dict[str, type["Signature"]]] = {}
    _app: Any = None

    def __init__(
        self,
        task: Any = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        type: Any = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: "Celery | None" = None,
        **ex: Any,
    ) -> None:
        del type
        self._app = app
        if isinstance(task, dict):
            super().__init__(task)
            return
        super().__init__(
            task=getattr(task, "name", task),
            args=tuple(args or ()),
            kwargs=dict(kwargs or {}),
            options=dict(options or {}, **ex),
            subtask_type=subtask_type,
            immutable=immutable,
        )

    task = _item("task")
    args = _item("args")
    kwargs = _item("kwargs")
    options = _item("options")
    subtask_type = _item("subtask_type")
    immutable = _item("immutable")

    @classmethod
    def register_type(cls, name: str) -> Callable[[type["Signature"]], type["Signature"]]:
        """Class decorator: the class of workflows of a kind."""

        def register(kind: type["Signature"]) -> type["Signature"]:
            cls.TYPES[name] = kind
            return kind

        return register

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: "Celery | None" = None) -> "Signature":
        """A signature from a dict, which may have been stored as JSON."""
        kind = cls.TYPES.get(d.get("subtask_type") or "")
        if kind is not None and kind is not cls:
            return kind.from_dict(d, app=app)
        made = Signature(dict(d), app=app)
        made["args"] = tuple(d.get("args") or ())
        made.update({key: dict(d.get(key) or {}) for key in ("kwargs", "options")})
        made.setdefault("subtask_type", None)
        made.setdefault("immutable", False)
        return made

    @property
    def app(self) -> "Celery":
        """The app of the signature."""
        from decant.celery.app import get_current  # the app imports this module

        return self._app or get_current()

    @property
    def name(self) -> Any:
        """Name of the task."""
        return self.task

    @property
    def id(self) -> str | None:
        """Id of the task, after `freeze`."""
        chosen: str | None = self.options.get("task_id")
        return chosen

    @property
    def type(self) -> "Task":
        """The task.

        Raises:
            NotRegistered: no imported module defines it.
        """
        try:
            return loading.tasks[self.task]
        except KeyError:
            raise NotRegistered(f"No imported module defines the task {self.task!r}. Import it.") from None

    def __call__(self, *partial_args: Any, **partial_kwargs: Any) -> Any:
        """Call the task in this process."""
        args, kwargs, _ = self._merge(partial_args, partial_kwargs, None)
        return self.type(*args, **kwargs)

    def delay(self, *partial_args: Any, **partial_kwargs: Any) -> Any:
        """Enqueue the call; see `apply_async`."""
        return self.apply_async(partial_args, partial_kwargs)

    def apply_async(self, args: Any = None, kwargs: Any = None, route_name: str | None = None, **options: Any) -> Any:
        """Enqueue the call, and return its handle when the rows are committed.

        Args:
            args: Arguments before those of the signature.
            kwargs: Arguments that replace those of the signature.
            route_name: Accepted without effect.
            options: Options that replace those of the signature.
        """
        from decant.celery.sending import send  # it imports this module

        del route_name
        given = {key: value for key, value in options.items() if value is not None}
        if self.app.conf.task_always_eager:
            return self.apply(args, kwargs, **given)
        return send(self, args or (), kwargs or {}, given)

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Run the call in this process."""
        given = {key: value for key, value in options.items() if value is not None}
        args, kwargs, given = self._merge(args, kwargs, given)
        return self.type.apply(args, kwargs, **given)

    def _merge(
        self, args: Any = None, kwargs: Any = None, options: Mapping[str, Any] | None = None, *, force: bool = False
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        new_options = self.options if options is None else {**self.options, **options}
        if self.immutable and not force:
            return tuple(self.args), self.kwargs, new_options
        merged_kwargs = {**self.kwargs, **kwargs} if kwargs else self.kwargs
        return (*(args or ()), *self.args), merged_kwargs, new_options

    def clone(self, args: Any = None, kwargs: Any = None, **opts: Any) -> Self:
        """A copy, with arguments before those of the signature, and with other options."""
        new_args, new_kwargs, new_options = self._merge(args, kwargs, opts)
        copied = dict(self, args=tuple(new_args), kwargs=dict(new_kwargs), options=deepcopy(dict(new_options)))
        return self.__class__.from_dict(copied, app=self._app)  # type: ignore[return-value]  # it is of this class

    partial = clone

    def replace(self, args: Any = None, kwargs: Any = None, options: Any = None) -> Self:
        """A copy with other arguments or options."""
        copied = self.clone()
        for name, value in (("args", args), ("kwargs", kwargs), ("options", options)):
            if value is not None:
                copied[name] = value
        return copied

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        """Change options of the call; returns the signature."""
        if immutable is not None:
            self.set_immutable(immutable)
        self.options.update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Let results of previous tasks be passed, or not."""
        self["immutable"] = immutable

    def freeze(self, _id: str | None = None, **_options: Any) -> Any:
        """Choose the id of the task; returns its handle."""
        from decant.celery.result import AsyncResult  # the app imports this module

        return AsyncResult(self.options.setdefault("task_id", _id or uuid()), app=self._app, task_name=self.task)

    def stamp(self, *_args: Any, **_headers: Any) -> None:
        """Not supported."""
        raise Unsupported("Stamping does not exist here. Pass the values as arguments, or as headers= of apply_async.")

    def _append(self, option: str, value: Any) -> Any:
        listed = self.options.get(option) or []
        listed = self.options[option] = listed if isinstance(listed, list) else [listed]
        if value not in listed:
            listed.append(value)
        return value

    def link(self, callback: Any) -> Any:
        """Call a signature with the result when the task has succeeded; returns the callback."""
        return self._append("link", callback)

    def link_error(self, errback: Any) -> Any:
        """Call a signature when the task has failed; returns it."""
        return self._append("link_error", errback)

    def on_error(self, errback: Any) -> Self:
        """Call a signature when the task has failed; returns this signature."""
        self.link_error(errback)
        return self

    def flatten_links(self) -> list[Any]:
        """This signature and all callbacks that are linked to it, also indirectly."""
        links = [maybe_signature(link) for link in self.options.get("link") or []]
        return [self, *(found for link in links if link is not None for found in link.flatten_links())]

    def __or__(self, other: Any) -> Any:
        from decant.celery.canvas import joined  # it imports this module

        return joined(self, other) if isinstance(other, Signature) else NotImplemented

    def __ior__(self, other: Any) -> Any:
        return self.__or__(other)

    def __invert__(self) -> Any:
        return self.apply_async().get()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self)] = self
        return self.clone()

    def __json__(self) -> dict[str, Any]:
        return dict(self)

    def reprcall(self) -> str:
        """The call as text."""
        shown = [repr(arg) for arg in self.args] + [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.task}({', '.join(shown)})"

    def __repr__(self) -> str:
        return self.reprcall()


def signature(varies: Any, *args: Any, **kwargs: Any) -> Signature:
    """A signature of a task or of its name; a copy of a signature; or a signature from a dict."""
    if isinstance(varies, Signature):
        return varies.clone()
    if isinstance(varies, dict):
        return Signature.from_dict(varies, app=kwargs.get("app"))
    return Signature(varies, *args, **kwargs)


def as_signature(varies: Any) -> Signature:
    """The signature itself, or a signature from a dict."""
    return varies if isinstance(varies, Signature) else Signature.from_dict(varies)


def maybe_signature(d: Any, app: "Celery | None" = None, clone: bool = False) -> Signature | None:
    """The signature itself or a copy, a signature from a dict, or None."""
    if d is None:
        return None
    made = as_signature(d).clone() if clone else as_signature(d)
    if app is not None:
        made._app = app  # noqa: SLF001  # of the same class
    return made
