"""Hatchling's hooks: both wheels' dependencies are lines of requirements files, and one wheel contains the demo."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

LOCKS = ("requirements/policy.txt", "requirements/sam.txt", "requirements/uv.txt")
"""Locks of environments that commands make, beside those in the package."""


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


class DemoFiles(BuildHookInterface[Any]):
    """Add the files from which bundles are made to the wheel `decant-cloud`, and lock files of environments."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # the signature is hatchling's
        """Add the files, which are outside of the project's folder."""
        if self.metadata.name != "decant-cloud":
            return
        repository = Path(self.root).parent
        path = Path(self.root, "decant_cloud/scaffold/demo_files.py")
        spec = importlib.util.spec_from_file_location("demo_files", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a module")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        is_there = Path(self.root, "decant_cloud/demo").is_dir()  # in a copy of the repository without the demo
        demo = () if is_there else module.packaged_files(repository)
        included = {each: f"demo/{each.relative_to(repository)}" for each in demo}
        included |= {each: f"locks/{each.name}" for each in map(repository.joinpath, LOCKS)}
        build_data["force_include"] |= {str(source): f"decant_cloud/{target}" for source, target in included.items()}
