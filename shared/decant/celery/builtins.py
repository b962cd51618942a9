"""Tasks of Celery's own names, which workflows use."""

from collections.abc import Callable
from typing import Any

from decant.celery.replacing import REPLACED
from decant.celery.signatures import as_signature
from decant.tasks import registry
from decant.tasks.options import TaskOptions
from decant.tasks.task import Task as Definition

__all__: list[str] = []


def _task[F: Callable[..., Any]](name: str) -> Callable[[F], F]:
    def define(function: F) -> F:
        from decant.celery.parameters import CallParameters

        definition: Definition[..., Any] = Definition(function, TaskOptions(name=name))
        definition.parameters = CallParameters(name, None)
        registry.register(definition)
        return function

    return define


@_task("celery.map")
def call_all(*, task: dict[str, Any], it: list[Any]) -> list[Any]:
    """Call a task with every item."""
    made = as_signature(task)
    return [made.type(item) for item in it]


@_task("celery.starmap")
def call_all_with(*, task: dict[str, Any], it: list[Any]) -> list[Any]:
    """Call a task with every item as its arguments."""
    made = as_signature(task)
    return [made.type(*item) for item in it]


@_task(REPLACED)
async def replaced(result: Any) -> Any:
    """Return the result of the workflow that has taken the place of this task."""
    return result


@_task("celery.errback")
def call_errback(task_id: str, *, callback: dict[str, Any]) -> None:
    """Enqueue an error callback that is a workflow."""
    as_signature(callback).apply_async((task_id,))
