"""Children: tasks and workflows that a run starts, and whose results it can wait for."""

import hashlib
from collections.abc import Generator
from typing import Any
from uuid import UUID

import msgspec

from decant.errors import TaskFailed, TaskNotFound, TaskRevoked
from decant.tasks.ids import uuid7
from decant.tasks.publish import enqueue
from decant.tasks.records import State
from decant.tasks.task import Task
from decant.workflows.errors import decode_error, encode_error, raised_again
from decant.workflows.progress import Call, Progress, current_progress
from decant.workflows.records import Recorded
from decant.workflows.store import ChildStatus, steps

__all__ = ["Child", "call_child", "start"]

_CHECK_S = 0.5  # between two checks of a child while another branch keeps the run in memory
_CHECK_OTHER_S = 60.0  # between two checks of a task that does not wake the run, because it is not its child


class Child:
    """A task that a run has started; `await child` returns its result.

    Attributes:
        id: Id of the task.
    """

    def __init__(self, progress: Progress, task: Task[..., Any], call: Call, task_id: UUID) -> None:
        self.id = str(task_id)
        self._progress = progress
        self._task = task
        self._call = call
        self._task_id = task_id

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()

    async def result(self) -> Any:
        """Wait for the child and return its result, decoded to the annotated type.

        Raises:
            TaskFailed: the child failed.
            TaskRevoked: the child was revoked.
            TaskNotFound: the child was deleted some time after its end.
        """
        key = self._call.key
        call = await self._progress.call(f"{key.name}.{key.n}.result", "step")
        found = call.found or await self._receive(call)
        if (error := decode_error(found)) is not None:
            raise raised_again(found.name, error)
        return self._task.parameters.decode_result(found.result or "null")

    async def _receive(self, call: Call) -> Recorded:
        progress = self._progress
        parent_id = progress.claimed.id
        left_s = float("inf") if self._task_id == _child_id(progress, self._call) else _CHECK_OTHER_S
        while True:
            with progress.held():
                child = await steps().await_child(parent_id, self._task_id)
            if child.finished:
                break
            await progress.wait(left_s, check_s=_CHECK_S, signalled=child.signalled)
        failure = self._failure(child)
        error = None if failure is None else encode_error(failure)
        encoded = None if child.result is None else child.result.encode()
        earlier = await progress.record(progress.new(call, "step", encoded, error=error))
        stored = None if error is None else msgspec.json.encode(error).decode()
        return earlier or Recorded(call.key.name, call.key.n, call.seq, "step", child.result, stored, None)

    def _failure(self, child: ChildStatus) -> Exception | None:
        reason = child.failure
        if child.state is None:
            return TaskNotFound(self.id)
        if child.state is State.REVOKED:
            return TaskRevoked(self.id, "" if reason is None else reason.message)
        return None if reason is None else TaskFailed(self.id, reason.type, reason.message, reason.traceback)


async def start(task: Any, /, *args: Any, name: str | None = None, **kwargs: Any) -> Child:
    """Start a task or a workflow as a child of this run, once.

        child = await start(invoice, user_id)
        total = await child

    The child goes on when this run ends without waiting for it, and when this run is revoked.

    Args:
        task: The task, also one of `decant.celery`.
        args: Its positional arguments.
        name: Name of the step, by default that of the task; concurrent branches need different names.
        kwargs: Its keyword arguments.
    Raises:
        TypeError: it is not a task, or the arguments do not fit its parameters, or are not JSON.
        RuntimeError: there is no run.
    """
    return await _start(task, args, kwargs, {}, name)


async def call_child(  # noqa: PLR0913  # the options of a step
    task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, name: str | None, queue: str, time_limit: float | None
) -> Any:
    """Run a task as a child on another queue, and wait for its result.

    Raises:
        TypeError: it is not a task, which a worker of that queue could not find.
    """
    return await (await _start(task, args, kwargs, {"queue": queue, "time_limit": time_limit}, name))


async def _start(
    task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any], name: str | None
) -> Child:
    task = getattr(task, "definition", task)  # of a task of decant.celery
    if not isinstance(task, Task):
        raise TypeError(f"a child must be a task, which a worker can find by its name: decorate {task!r} with @task")
    progress = current_progress()
    if progress is None:
        raise RuntimeError("start() needs a run: outside of one, enqueue the task with its delay()")
    call = await progress.call(name or task.name, "child")
    if call.found is not None:
        return Child(progress, task, call, _decode(call.found))
    child_id = _child_id(progress, call)
    new = task.new(args, kwargs, options | {"task_id": child_id})
    with progress.held():
        (task_id,) = await enqueue([msgspec.structs.replace(new, awaited_by=progress.claimed.id)], None)
    recorded = progress.new(call, "child", msgspec.json.encode(task_id))
    earlier = await progress.record(recorded)
    return Child(progress, task, call, task_id if earlier is None else _decode(earlier))


def _child_id(progress: Progress, call: Call) -> UUID:
    """The same id in every claim, so that a child which was started and not recorded is not started twice."""
    parent_id = progress.claimed.id
    digest = hashlib.sha256(f"{parent_id}\n{call.key.name}\n{call.key.n}".encode()).digest()
    return uuid7(parent_id.int >> 80, digest)


def _decode(found: Recorded) -> UUID:
    return msgspec.json.decode(found.result or "null", type=UUID)
