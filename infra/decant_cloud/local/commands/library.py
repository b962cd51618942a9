"""`tasks` and `workflows`: commands of the library, with the tasks of the bundle."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from decant_cloud.local.state import running
from decant_cloud.paths import root

__all__ = ["run"]


def run(*, command: str, state: Path, arguments: Sequence[str]) -> int:
    """Run `python -m decant <command>` on DATABASE_URL, else on the local cloud; returns its exit status."""
    environment = dict(os.environ)
    shared, local = root() / "shared", running(state)
    environment["PYTHONPATH"] = os.pathsep.join([str(shared), *environment.get("PYTHONPATH", "").split(os.pathsep)])
    if (shared / "domain/tasks.py").is_file():
        environment.setdefault("TASK_MODULES", "domain.tasks")
    if local is not None:
        environment.setdefault("DATABASE_URL", local.database_url)
    words = [sys.executable, "-m", "decant", command, *arguments]
    return subprocess.run(words, env=environment, check=False).returncode
