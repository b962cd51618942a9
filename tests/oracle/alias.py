"""Let `celery` be `decant.celery`, so that the programs run unchanged."""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install"]


class _Alias(MetaPathFinder, Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(name, self) if name == "celery" or name.startswith("celery.") else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(f"decant.{spec.name}")

    def exec_module(self, module: ModuleType) -> None:
        """The module has been executed under its own name."""


def install() -> None:
    """Let imports of `celery` find `decant.celery`."""
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Alias())
