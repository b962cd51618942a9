"""Enqueue signatures: a single call as a row, and a workflow as rows that wait for each other."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from decant.celery import request, signals
from decant.celery.canvas import _chain, chord, chunks, group, xmap, xstarmap
from decant.celery.planning import Call, Plan, Upstream, insert, new_task
from decant.celery.result import AsyncResult, GroupResult
from decant.celery.signatures import Signature, as_signature
from decant.tasks.records import NewTask

if TYPE_CHECKING:
    from uuid import UUID

    from decant.celery.app import Celery

__all__ = ["listed", "plan", "related", "send"]

type Result = AsyncResult | GroupResult


class Built(NamedTuple):
    """A part of a workflow.

    Attributes:
        end: Tasks for which the next part waits.
        result: Makes the handle, given that of the previous part; after the ids are assigned.
    """

    end: Upstream
    result: Callable[[Any], Any]


def send(sig: Signature, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Insert the tasks of a signature.

    Args:
        sig: The signature.
        args: Arguments before those of its first tasks.
        kwargs: Keyword arguments of its first tasks.
        options: Options of its first tasks.
    Returns:
        Handle of its last part.
    """
    app = sig.app
    track = options.get("add_to_parent", True)
    if _is_call(sig):
        merged = sig.clone(args, kwargs, **options)
        if not (merged.options.get("link") or merged.options.get("link_error")):
            return _tracked(_send_call(app, merged), track=track)
    made = _merged(sig, args, kwargs, options)
    if isinstance(made, group) and not made.members():
        return made.freeze()
    plan_, built = plan(app, made)
    if built is None:
        return None
    tasks = related(plan_.tasks())
    _publishing(app, tasks)
    insert(tasks)
    return _tracked(built.result(None), track=track)


def _send_call(app: "Celery", sig: Signature) -> AsyncResult:
    new = new_task(app, sig.task, sig.args, sig.kwargs, sig.options)
    _publishing(app, [new])
    (row,) = insert([new])
    if signals.after_task_publish.receivers:
        headers = {"id": str(row), "task": sig.task}
        body: Any = (sig.args, sig.kwargs, {})
        signals.after_task_publish.send(sender=sig.task, body=body, headers=headers, exchange="", routing_key=new.queue)
    return AsyncResult(sig.options.get("task_id") or str(row), app=app, task_name=sig.task)


def _publishing(app: "Celery", tasks: Sequence[NewTask]) -> None:
    app.log_once()
    if signals.before_task_publish.receivers:
        for task in tasks:
            headers = {"id": str(task.id), "task": task.name}
            named = {"exchange": "", "routing_key": task.queue, "declare": [], "properties": {}, "retry_policy": {}}
            body: Any = (task.args, task.kwargs, {})
            signals.before_task_publish.send(sender=task.name, body=body, headers=headers, **named)


def _tracked[R](result: R, *, track: bool) -> R:
    parent = request.current()
    if track and parent is not None and parent[0].trail:
        parent[1].children.append(result)
    return result


def _is_call(sig: Signature) -> bool:
    return not isinstance(sig, _chain | group | chord | chunks)


def _merged(sig: Signature, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Signature:
    """A copy of a signature whose first tasks have more arguments and options."""
    made = sig.clone()
    links = {key: options[key] for key in ("link", "link_error") if options.get(key)}
    rest = {key: value for key, value in options.items() if key not in links}
    if isinstance(made, _chain):
        inherited = {key: value for key, value in made.options.items() if key not in {"link", "link_error", "task_id"}}
        if made.tasks:
            first = {**inherited, **{key: value for key, value in rest.items() if key != "task_id"}}
            made.tasks[0] = _merged(made.tasks[0], (*args, *made.args), kwargs, first)
        if rest.get("task_id") and made.tasks:
            made.tasks[-1].set(task_id=rest["task_id"])
    elif isinstance(made, group):
        member = {key: value for key, value in {**made.options, **rest}.items() if key != "task_id"}
        made.tasks = [_merged(part, args, kwargs, member) for part in made.tasks]
        made.options.update({key: value for key, value in rest.items() if key == "task_id"})
    elif isinstance(made, chord):
        delays: dict[str, Any] = {key: rest[key] for key in ("countdown", "eta") if key in rest}
        made.kwargs["header"] = _merged(made.tasks, args, kwargs, delays)
        made.body.options.update({key: value for key, value in rest.items() if key not in delays})
    else:
        made = sig.clone(args, kwargs, **rest)
    for key, values in links.items():
        for value in values if isinstance(values, list | tuple) else [values]:
            made._append(key, value)  # noqa: SLF001  # of the same package
    return made


def plan(app: "Celery", sig: Signature) -> tuple[Plan, Built | None]:
    """The tasks of a signature, before their ids are assigned; None for an empty chain."""
    made = Plan()
    return made, _build(app, sig, made, Upstream())


def _build(app: "Celery", sig: Signature, plan: Plan, upstream: Upstream) -> Built | None:
    sig = as_signature(sig)
    if isinstance(sig, chunks):
        sig = sig.group()
    errbacks = [_errback(app, errback) for errback in listed(sig.options.get("link_error"))]
    if _is_call(sig):
        built: Built | None = _build_call(app, sig, plan, upstream, errbacks)
    else:
        with plan.on_error(errbacks):
            built = _build_workflow(app, sig, plan, upstream)
    if built is not None:
        for callback in listed(sig.options.get("link")):
            _build(app, as_signature(callback).clone(), plan, built.end)
    return built


def _build_call(app: "Celery", sig: Signature, plan: Plan, upstream: Upstream, errbacks: Sequence[NewTask]) -> Built:
    end = plan.add(Call(app, sig, errbacks), upstream)

    def result(parent: Any) -> AsyncResult:
        return AsyncResult(sig.options.get("task_id") or str(end.ids[0]), parent=parent, app=app, task_name=sig.task)

    return Built(end, result)


def _build_workflow(app: "Celery", sig: Signature, plan: Plan, upstream: Upstream) -> Built | None:
    if isinstance(sig, _chain):
        return _build_sequence(app, sig.tasks, plan, upstream)
    if isinstance(sig, chord):
        return _build_sequence(app, [sig.tasks, sig.body], plan, upstream)
    return _build_group(app, group(sig.kwargs["tasks"], **sig.options), plan, upstream)


def _build_group(app: "Celery", sig: group, plan: Plan, upstream: Upstream) -> Built:
    members = sig.members()
    if not members and upstream.drafts:
        return Built(
            plan.empty_group(upstream), lambda parent: GroupResult(str(plan.root_id), [], parent=parent, app=app)
        )
    before = plan.join(upstream)
    parts = [part for member in members if (part := _build(app, member, plan, before)) is not None]
    ends = [plan.join(part.end) for part in parts]
    group_id = sig.options.get("task_id")

    def result(parent: Any) -> GroupResult:
        results = [part.result(parent) for part in parts]
        return GroupResult(group_id or str(plan.root_id), results, parent=parent, app=app)

    return Built(Upstream(tuple(draft for end in ends for draft in end.drafts), gathered=True), result)


def _build_sequence(app: "Celery", signatures: Sequence[Signature], plan: Plan, upstream: Upstream) -> Built | None:
    parts: list[Built] = []
    for sig in signatures:
        if isinstance(sig, group) and not sig.members() and upstream.drafts and sig is not signatures[-1]:
            continue
        built = _build(app, sig, plan, upstream)
        if built is not None:
            parts.append(built)
            upstream = built.end
    if not parts:
        return None

    def result(parent: Any) -> Any:
        for part in parts:
            parent = part.result(parent)
        return parent

    return Built(upstream, result)


def _errback(app: "Celery", callback: Any) -> NewTask:
    """The task to insert when another fails; unless immutable, it receives the id of that task."""
    sig = as_signature(callback)
    if not _is_call(sig) or isinstance(sig, xmap | xstarmap):
        sig = Signature("celery.errback", (), {"callback": dict(sig)})
    given = {**sig.options, "errback": not sig.immutable}
    new = new_task(app, sig.task, sig.args, sig.kwargs, given, unchecked=True)
    return msgspec.structs.replace(new, result_argument=None if sig.immutable else "result")


def related(tasks: Sequence[NewTask]) -> list[NewTask]:
    """The tasks, each with the ids of its first parent, of its root and of its children."""
    roots: dict[UUID, str] = {}
    related = []
    for task in tasks:
        call = dict(task.options["celery"]) if "celery" in task.options else {}
        if task.parents:
            call |= {"parent_id": str(task.parents[0]), "root_id": roots.get(task.parents[0], str(task.parents[0]))}
        if task.children:
            call["children"] = [str(child) for child in task.children]
        roots[task.id] = call.get("root_id") or str(task.id)
        related.append(msgspec.structs.replace(task, options={**task.options, "celery": call}))
    return related


def listed(value: Any) -> list[Any]:
    """The values of an option that takes one value, several or none."""
    if not value:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
