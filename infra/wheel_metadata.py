"""Hatchling's metadata hook of both wheels: their dependencies are lines of the requirements files."""

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class WheelMetadata(MetadataHookInterface):
    """Read the dependencies of the library from `shared/`, and those of the commands from `requirements/cloud.in`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the dynamic fields of `[project]`."""
        if metadata["name"] == "decant-flask":
            metadata["dependencies"] = self._packages("shared/requirements.in")
            metadata["optional-dependencies"] = {"auth": self._packages("shared/auth.in")}
        else:
            library = f"decant-flask[auth]=={metadata['version']}"
            metadata["dependencies"] = [library, *self._packages("../requirements/cloud.in")]

    def _packages(self, name: str) -> list[str]:
        lines = Path(self.root, name).read_text().splitlines()
        return [line for line in lines if line and not line.startswith(("#", "-"))]
