"""Workflows whose parts run concurrently: group, chord and chunks."""

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from decant.celery.maps import plain, xstarmap
from decant.celery.signatures import Signature, maybe_signature, signature

if TYPE_CHECKING:
    from decant.celery.app import Celery

__all__ = ["SignatureList", "chord", "chunks", "group", "signatures"]


def signatures(items: Iterable[Any], app: "Celery | None" = None) -> list[Signature]:
    """Signatures from signatures and dicts."""
    return [made for item in items if (made := maybe_signature(item, app)) is not None]


class SignatureList(Signature):
    """A signature of several signatures in a list, `tasks`."""

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: "Celery | None" = None) -> Self:
        """The workflow from a dict."""
        made = cls([part.clone() for part in signatures(d["kwargs"]["tasks"])], app=app)
        made.update(
            args=tuple(d.get("args") or ()), options=dict(d.get("options") or {}), immutable=d.get("immutable", False)
        )
        return made

    @property
    def tasks(self) -> list[Signature]:
        """The signatures."""
        tasks: list[Signature] = self.kwargs["tasks"]
        return tasks

    @tasks.setter
    def tasks(self, value: list[Signature]) -> None:
        self.kwargs["tasks"] = value


@Signature.register_type("group")
class group(SignatureList):  # noqa: N801  # Celery's name
    """Signatures that run concurrently; their results form a list."""

    def __init__(self, *tasks: Any, **options: Any) -> None:
        app = options.pop("app", None)
        given: Any = tasks
        if len(tasks) == 1:
            only = tasks[0].tasks if isinstance(tasks[0], group) else tasks[0]
            given = [only] if isinstance(only, dict) else only
        super().__init__("celery.group", (), {"tasks": signatures(given, app)}, app=app, **options)
        self.subtask_type = "group"

    def members(self) -> list[Signature]:
        """The signatures, with those of groups in the group in their places."""
        flat: list[Signature] = []
        for part in self.tasks:
            if isinstance(part, group):
                flat += part.members()
            elif not (part.subtask_type == "chain" and not part.kwargs["tasks"]):
                flat.append(part)
        return flat

    def freeze(self, _id: str | None = None, **options: Any) -> Any:
        """Choose the ids of the tasks; returns the handle of the group."""
        from decant.celery.result import GroupResult
        from decant.celery.utils import uuid

        group_id = self.options.setdefault("task_id", _id or uuid())
        return GroupResult(group_id, [part.freeze(**options) for part in self.members()], app=self._app)

    def __call__(self, *partial_args: Any, **options: Any) -> Any:
        """Enqueue the group."""
        return self.apply_async(partial_args, **options)

    def apply_async(self, args: Any = None, kwargs: Any = None, route_name: str | None = None, **options: Any) -> Any:
        """Enqueue all signatures; see `Signature.apply_async`.

        Raises:
            TypeError: `link` or `link_error` was given.
        """
        if options.get("link") is not None:
            raise TypeError("Cannot add link to group: use a chord")
        if options.get("link_error") is not None:
            raise TypeError("Cannot add link to group: do that on individual tasks")
        return super().apply_async(args, kwargs, route_name, **options)

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Run the signatures in this process."""
        from decant.celery.result import GroupResult
        from decant.celery.utils import uuid

        results = [part.apply(args, kwargs, **options) for part in self.members()]
        return GroupResult(self.options.get("task_id") or uuid(), results, app=self._app)

    def set_immutable(self, immutable: bool) -> None:
        """Let results of previous tasks be passed to the signatures, or not."""
        for part in self.tasks:
            part.set_immutable(immutable)

    def link(self, callback: Any) -> Any:
        """Call a signature after the first signature, without its result."""
        return self.tasks[0].link(callback.clone().set(immutable=True))

    def link_error(self, errback: Any) -> Any:
        """Call a signature whenever one of the signatures fails."""
        made = signature(errback)
        return tuple(part.link_error(made.clone()) for part in self.tasks)

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> Self:
        """Let the signatures start one after another: set their countdowns."""
        for number, part in enumerate(self.tasks):
            seconds = start + number * step
            part.set(countdown=seconds if stop is None else min(seconds, stop))
        return self

    def __len__(self) -> int:
        return len(self.tasks)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"group({self.tasks!r})"


@Signature.register_type("chord")
class chord(Signature):  # noqa: N801  # Celery's name
    """A group, and a body that receives the list of its results."""

    def __init__(self, header: Any, body: Any = None, task: str = "celery.chord", **options: Any) -> None:
        app = options.pop("app", None)
        made = maybe_signature(header) if isinstance(header, dict) else header
        members = (
            made if isinstance(made, group) else group(made if not isinstance(made, Signature) else [made], app=app)
        )
        super().__init__(task, (), {"header": members, "body": maybe_signature(body), "kwargs": {}}, app=app, **options)
        self.subtask_type = "chord"

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: "Celery | None" = None) -> "chord":
        """A chord from a dict."""
        stored = d["kwargs"]["header"]
        header = signature(stored) if isinstance(stored, dict) else group(signatures(stored))
        made = cls(header, maybe_signature(d["kwargs"]["body"], clone=True), app=app)
        made.update(
            args=tuple(d.get("args") or ()), options=dict(d.get("options") or {}), immutable=d.get("immutable", False)
        )
        return made

    @property
    def tasks(self) -> group:
        """The group."""
        header: group = self.kwargs["header"]
        return header

    @property
    def body(self) -> Any:
        """The body."""
        return self.kwargs["body"]

    @body.setter
    def body(self, value: Any) -> None:
        self.kwargs["body"] = value

    def freeze(self, _id: str | None = None, **options: Any) -> Any:
        """Choose the ids of the tasks; returns the handle of the body."""
        header = self.tasks.freeze(**options)
        result = self.body.freeze(_id, **options)
        result.parent = header
        return result

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Enqueue the chord, with another body if one is given."""
        made = self if body is None else chord(self.tasks, body, app=self._app)
        return made.apply_async((), **options)

    def apply(self, args: Any = None, kwargs: Any = None, propagate: bool = True, **options: Any) -> Any:
        """Run the group and the body in this process."""
        results = self.tasks.apply(args, kwargs, **options).get(propagate=propagate)
        return self.body.apply((results,))

    def set_immutable(self, immutable: bool) -> None:
        """Let results of previous tasks be passed to the group, or not."""
        self.tasks.set_immutable(immutable)

    def link(self, callback: Any) -> Any:
        """Call a signature with the result of the body."""
        self.body.link(callback)
        return callback

    def link_error(self, errback: Any) -> Any:
        """Call a signature when the body has failed, or was not started because the group has failed."""
        self.body.link_error(errback)
        return errback

    def __repr__(self) -> str:
        return f"chord({self.tasks.tasks!r}, {self.body!r})"


@Signature.register_type("chunks")
class chunks(Signature):  # noqa: N801  # Celery's name
    """Calls in tasks of `n` calls."""

    def __init__(self, task: Any, it: Any, n: int, **options: Any) -> None:
        app = options.pop("app", None)
        kwargs = {"task": maybe_signature(task), "it": [plain(item) for item in it], "n": n}
        super().__init__("celery.chunks", (), kwargs, immutable=True, app=app, **options)
        self.subtask_type = "chunks"

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: "Celery | None" = None) -> "chunks":
        """From a dict."""
        return cls(d["kwargs"]["task"], d["kwargs"]["it"], d["kwargs"]["n"], app=app, **(d.get("options") or {}))

    def __call__(self, **options: Any) -> Any:
        """Enqueue the calls."""
        return self.apply_async(**options)

    def group(self) -> group:
        """The tasks as a group."""
        parts = itertools.batched(self.kwargs["it"], self.kwargs["n"], strict=False)
        return group([xstarmap(self.kwargs["task"], part, app=self._app) for part in parts], app=self._app)

    def apply_async(self, args: Any = None, kwargs: Any = None, route_name: str | None = None, **options: Any) -> Any:
        """Enqueue the calls."""
        return self.group().apply_async(args, kwargs, route_name, **options)

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Run the calls in this process."""
        return self.group().apply(args, kwargs, **options)
