"""One task that calls another task with many arguments: map and starmap."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from decant.celery.signatures import Signature, maybe_signature

if TYPE_CHECKING:
    from decant.celery.app import Celery

__all__ = ["plain", "xmap", "xstarmap"]


class _basemap(Signature):  # noqa: N801  # Celery's name
    """One task that calls another with many arguments."""

    _kind = ""

    def __init__(self, task: Any, it: Any, **options: Any) -> None:
        app = options.pop("app", None)
        kwargs = {"task": maybe_signature(task), "it": [plain(item) for item in it]}
        super().__init__(f"celery.{self._kind}", (), kwargs, immutable=True, app=app, **options)
        self.subtask_type = self._kind

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: "Celery | None" = None) -> Any:
        """From a dict."""
        return cls(d["kwargs"]["task"], d["kwargs"]["it"], app=app, **(d.get("options") or {}))

    def __repr__(self) -> str:
        return f"[{self.kwargs['task'].task}(x) for x in {self.kwargs['it']!r}]"


def plain(item: Any) -> Any:
    """An item as JSON returns it."""
    return list(item) if isinstance(item, tuple) else item


@Signature.register_type("map")
class xmap(_basemap):  # noqa: N801  # Celery's name
    """One task that calls a task with every item."""

    _kind = "map"


@Signature.register_type("starmap")
class xstarmap(_basemap):  # noqa: N801  # Celery's name
    """One task that calls a task with every item as its arguments."""

    _kind = "starmap"
