"""Hatchling's metadata hook: the wheel's dependencies are the packages that the layers are locked from."""

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class WheelMetadata(MetadataHookInterface):
    """Read the dependencies from `shared/requirements.in`, and those of the extra `auth` from `shared/auth.in`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the dynamic fields of `[project]`."""
        metadata["dependencies"] = self._packages("requirements.in")
        metadata["optional-dependencies"] = {"auth": self._packages("auth.in")}

    def _packages(self, name: str) -> list[str]:
        lines = Path(self.root, "shared", name).read_text().splitlines()
        return [line for line in lines if line and not line.startswith(("#", "-"))]
