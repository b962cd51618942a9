"""Workflows with Celery's names: chain, group, chord, chunks, map and starmap."""

from typing import Any

from decant.celery.exceptions import Unsupported
from decant.celery.maps import xmap, xstarmap
from decant.celery.parallel import SignatureList, chord, chunks, group, signatures
from decant.celery.signatures import Signature, maybe_signature, signature

__all__ = [
    "Signature",
    "chain",
    "chord",
    "chunks",
    "group",
    "joined",
    "maybe_signature",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]

subtask = signature


@Signature.register_type("chain")
class _chain(SignatureList):  # noqa: N801  # Celery's name
    """Signatures that run one after another."""

    def __init__(self, *tasks: Any, **options: Any) -> None:
        app = options.pop("app", None)
        given = tasks[0] if len(tasks) == 1 and not isinstance(tasks[0], dict) else tasks
        super().__init__("celery.chain", (), {"tasks": signatures(given, app)}, app=app, **options)
        self.subtask_type = "chain"

    def freeze(self, _id: str | None = None, **options: Any) -> Any:
        """Choose the ids of the tasks; returns the handle of the last."""
        result = None
        for number, part in enumerate(self.tasks):
            last = number == len(self.tasks) - 1
            frozen = part.freeze(_id if last else None, **options)
            frozen.parent, result = result, frozen
        return result

    def unchain_tasks(self) -> list[Signature]:
        """Copies of the signatures, with the error callbacks of the chain."""
        copies = [part.clone() for part in self.tasks]
        for errback in self.options.get("link_error") or []:
            for part in copies:
                part.link_error(errback)
        return copies

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Enqueue the chain."""
        return self.apply_async(args, kwargs) if self.tasks else None

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Run the signatures in this process."""
        last = None
        given, named = ((*(args or ()), *self.args), kwargs or {})
        for part in self.tasks:
            if isinstance(part, group) and not part.tasks:
                continue
            if last is not None:
                given, named = (last.get(),), {}
            result = part.apply(given, named, **options)
            result.parent, last = last, result
        return last

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.tasks))


class chain(_chain):  # noqa: N801  # Celery's name
    """Signatures that run one after another; the result of each is the first argument of the next."""

    def __new__(cls, *tasks: Any, **options: Any) -> Any:
        """Join the signatures as `|` does; a single signature or group may result from that."""
        if cls is not chain or options:
            return super().__new__(cls, *tasks, **options)
        given = list(tasks[0]) if len(tasks) == 1 and not isinstance(tasks[0], dict) else list(tasks)
        if len(given) <= 1:
            return _chain(*(part.clone() for part in signatures(given)))
        made: Signature = _chain()
        for part in signatures(given):
            made = made | part
        return made

    def __init__(self, *tasks: Any, **options: Any) -> None:
        if type(self) is not chain or options:
            super().__init__(*tasks, **options)


def joined(left: Signature, right: Signature) -> Signature:
    """`left | right`: groups before other signatures become chords.

    Source: celery/canvas.py, `_merge_chain_step`.
    """
    if isinstance(right, group):
        right = _unrolled(right)
        if isinstance(right, group) and not right.tasks:
            return left
    if isinstance(left, group):
        return chord(left, body=right, app=left._app)  # noqa: SLF001  # of the same class
    steps = left.unchain_tasks() if isinstance(left, _chain) else [left.clone()]
    added = right.unchain_tasks() if isinstance(right, _chain) else [right.clone()]
    for step in added:
        last = steps[-1] if steps else None
        if isinstance(last, group):
            steps[-1] = chord(last, body=step, app=last._app)  # noqa: SLF001
        elif isinstance(last, chord) and not isinstance(step, chord):
            last.body = joined(last.body, step)
        else:
            steps.append(step)
    if len(steps) == 1 and (isinstance(left, chord) or not (isinstance(left, _chain) and left.tasks)):
        return steps[0] if not isinstance(left, _chain) or isinstance(steps[0], group) else _chain(steps[0])
    made = _chain(*steps, app=left._app or right._app)  # noqa: SLF001
    if isinstance(left, _chain):
        made.options.update({key: value for key, value in left.options.items() if key != "link_error"})
    return made


def _unrolled(members: "group") -> Signature:
    return members.tasks[0] if len(members.tasks) == 1 else members


def __getattr__(name: str) -> Any:
    if name == "StampingVisitor":
        raise Unsupported("Stamping does not exist here. Pass the values as arguments, or as headers= of apply_async.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
