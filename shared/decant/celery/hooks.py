"""Methods of tasks that are called around a run; subclasses override them."""

from typing import Any

__all__ = ["Hooks"]


class Hooks:
    """The hooks, with Celery's names. An error of a hook after the run is logged, and changes nothing."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Called before a run."""

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Called after a run that returned."""

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called after a run that requested a retry."""

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called after a run that failed."""

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called after a run that returned or failed."""
