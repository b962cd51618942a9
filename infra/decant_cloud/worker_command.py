"""`decant worker`: the same as `python -m decant worker`, with the modules of the bundle."""

import sys

from decant.worker.process import main
from decant_cloud.paths import root

__all__ = ["run"]


def run(arguments: list[str]) -> int:
    """Run a worker in this process until a signal ends it; returns the exit status."""
    sys.path.insert(0, str(root() / "shared"))
    return main(arguments)
