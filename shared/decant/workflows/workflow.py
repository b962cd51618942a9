"""The `@workflow` decorator."""

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from decant.tasks.options import TaskOptions
from decant.tasks.registry import register
from decant.tasks.task import Task
from decant.workflows.progress import current_progress
from decant.workflows.store import steps

if TYPE_CHECKING:
    from decant.workflows.runs import WorkflowRun

__all__ = ["Workflow", "workflow"]

_RESERVED = frozenset({"id", "session"})


class Workflow[**P, T](Task[P, T]):
    """A task whose run records its steps, and continues after them in every claim."""

    resumes = True

    def __init__(self, function: Callable[P, T], options: TaskOptions) -> None:
        super().__init__(_recorded(function), options)
        for name in _RESERVED.intersection(inspect.signature(function).parameters):
            raise TypeError(f"{self.name}: a workflow has no parameter {name!r}, which is an option of start()")
        if not self.is_async:
            raise TypeError(f"{self.name}: a workflow is an async function")

    async def start(
        self,
        *args: Any,
        id: str | UUID | None = None,  # noqa: A002  # of the run
        session: AsyncSession | None = None,
        **kwargs: Any,
    ) -> "WorkflowRun":
        """Start a run; `delay` and `apply_async` do too.

        Args:
            args: Positional arguments of the workflow.
            id: Key of the run: if there is a run of this workflow with it, that run is returned. A UUID becomes the id
                of the task.
            session: Session in whose transaction the run is inserted.
            kwargs: Keyword arguments of the workflow.
        Raises:
            TypeError: the arguments do not fit the workflow's parameters, or are not JSON.
            DatabaseUnavailable: nothing was written, and retrying helps once PostgreSQL is back.
        """
        from decant.workflows.runs import start_run  # noqa: PLC0415  # a worker starts few runs

        return await start_run(self, args, kwargs, id, session)

    async def find(self, key: str) -> "WorkflowRun | None":
        """The run that was started with a key as its id; None when there is none."""
        from decant.workflows.runs import WorkflowRun  # noqa: PLC0415  # a worker does not need it

        task_id = await steps().find(self.name, key)
        return None if task_id is None else WorkflowRun(task_id)


def _recorded(function: Callable[..., Any]) -> Any:
    """Read the recorded steps before the function starts, and check after its end that it has requested all of them."""

    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        progress = current_progress()
        if progress is None:
            return await function(*args, **kwargs)
        if not progress.is_loaded:
            await progress.load()
        result = await function(*args, **kwargs)
        await progress.check_finished()
        return result

    return run


class _Configured:
    def __init__(self, options: TaskOptions) -> None:
        self._options = options

    def __call__[**P, T](self, function: Callable[P, Awaitable[T]]) -> Workflow[P, Awaitable[T]]:
        return register(Workflow(function, self._options))


class _Decorator[**O]:
    """Type of `workflow`, as that of `task`."""

    def __init__(self, options: Callable[O, TaskOptions]) -> None:
        self._options: Callable[..., TaskOptions] = options

    @overload
    def __call__[**P, T](self, function: Callable[P, Awaitable[T]], /) -> Workflow[P, Awaitable[T]]: ...  # type: ignore[overload-overlap]  # O has keywords only
    @overload
    def __call__(self, *args: O.args, **options: O.kwargs) -> _Configured: ...
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Make a function a workflow; see `TaskOptions` for the options.

        Raises:
            TypeError: an option does not exist, or the function cannot be a workflow.
            ValueError: another function is a task of this name.
        """
        configured = _Configured(self._options(**options))
        return configured(*args) if args else configured


workflow = _Decorator(TaskOptions)
"""Make an async function a workflow: `@workflow` or `@workflow(queue="slow")`; see `TaskOptions`."""
