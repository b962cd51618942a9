"""Result of a task that ran in the caller's process: `EagerResult`."""

from typing import Any

from decant.celery import states
from decant.celery.async_result import AsyncResult
from decant.celery.exceptions import TaskRevokedError
from decant.celery.outcome import Seen

__all__ = ["EagerResult"]


class EagerResult(AsyncResult):
    """Result of a task that ran in this process."""

    def __init__(
        self, id: str, ret_value: Any, state: str, traceback: str | None = None, name: str | None = None
    ) -> None:
        super().__init__(id, task_name=name)
        self._eager = Seen(state=state, value=ret_value, traceback=traceback, name=name, children=[])

    def _see(self) -> Seen:
        return self._eager

    def ready(self) -> bool:
        """True."""
        return True

    def get(self, timeout: float | None = None, propagate: bool = True, interval: float = 0.5, **options: Any) -> Any:
        """The result, or its error is raised."""
        del timeout, interval, options
        found = self._see()
        if propagate and found.state in states.PROPAGATE_STATES:
            raise found.value if isinstance(found.value, Exception) else TaskRevokedError(str(found.value))
        return found.value

    wait = get

    def forget(self) -> None:
        """Nothing is stored."""

    def revoke(self, *_args: Any, **_kwargs: Any) -> None:
        """Show the state REVOKED."""
        self._eager = Seen(state=states.REVOKED, value=self._eager.value, name=self._name, children=[])

    def __repr__(self) -> str:
        return f"<EagerResult: {self.id}>"
