"""Run the tests of the library and of the tooling in a copy of the repository that contains no demo.

The copy has the functions, events and tests of a new bundle in place of those of the demo. The demo from which bundles
are made is where the wheel `decant-cloud` has it, in `infra/decant_cloud/demo`.

Usage: python -m tests.without_demo [arguments of pytest]
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from decant_cloud.scaffold.bundle import render
from decant_cloud.scaffold.demo_files import packaged_files
from tests.loading import ROOT, repository_files
from tests.sample.bundle import empty_wheels

__all__ = ["copy_without_demo"]

DEMO = ("events", "functions", "shared/domain", "template.yaml", "tests/bundle", "tests/functions", "tests/smoke")
"""Files and folders of the demo."""

BUNDLE = (*DEMO[:-1], "infra/edge.yaml", "infra/import_budget.toml", "samconfig.toml")
"""Files and folders of a new bundle that replace those of the repository."""


def copy_without_demo(folder: Path) -> None:
    """Copy the repository's files into a folder, with the files of a new bundle in place of the demo.

    Args:
        folder: An empty folder.
    """
    for name in repository_files():
        if not Path(name).is_relative_to("tests/smoke"):
            _copy(ROOT / name, folder / name)
    for path in packaged_files(ROOT):
        _copy(path, folder / "infra/decant_cloud/demo" / path.relative_to(ROOT))
    for name in DEMO:
        shutil.rmtree(folder / name, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch, "decant")
        render(bundle, "decant", empty_wheels(Path(scratch)))
        for name in BUNDLE:
            files = (bundle / name).rglob("*") if (bundle / name).is_dir() else [bundle / name]
            for path in files:
                if path.is_file():
                    _copy(path, folder / path.relative_to(bundle))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def main(arguments: Sequence[str]) -> int:
    """Make the copy, install its environments and run pytest in it; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="decant-without-demo-") as folder:
        copy = Path(folder)
        copy.chmod(0o755)  # root's PostgreSQL runs as another user
        copy_without_demo(copy)
        environment = {name: value for name, value in os.environ.items() if name != "DECANT_BUNDLE"}
        for command in (
            [sys.executable, "infra/decant_cloud/install.py"],
            [".venv/bin/python", "-m", "pytest", *arguments],
        ):
            finished = subprocess.run(command, cwd=copy, env=environment, check=False)
            if finished.returncode:
                break
        return finished.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
