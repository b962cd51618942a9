"""`tasks` and `workflows`: commands of the library, with the tasks of the bundle."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from decant_cloud.local.deploy import Cloud, physical_id, refusals
from decant_cloud.local.state import Running, running
from decant_cloud.paths import root

__all__ = ["run"]

_READ = {"list", "show", "status", "schedules", "sample", "check"}
"""Commands that enqueue nothing."""


def run(*, command: str, state: Path, arguments: Sequence[str]) -> int:
    """Run `python -m decant <command>` on DATABASE_URL, else on the local cloud; returns its exit status.

    Raises:
        LocalCloudError: the local cloud does not return the addresses of its queues.
    """
    environment = dict(os.environ)
    shared, local = root() / "shared", running(state)
    environment["PYTHONPATH"] = os.pathsep.join([str(shared), *environment.get("PYTHONPATH", "").split(os.pathsep)])
    if (shared / "domain/tasks.py").is_file():
        environment.setdefault("TASK_MODULES", "domain.tasks")
    if local is not None and "DATABASE_URL" not in environment:
        environment["DATABASE_URL"] = local.database_url
        if local.command == "up" and not _READ.issuperset(arguments[:1]):
            environment |= _queues(local)
    words = [sys.executable, "-m", "decant", command, *arguments]
    return subprocess.run(words, env=environment, check=False).returncode


def _queues(local: Running) -> dict[str, str]:
    """Settings with which the library publishes tasks as the functions of the local cloud do."""
    cloud = Cloud(local.url)
    migrate = physical_id(cloud, local.stack, "Migrate")  # every stack has this function, with the settings of Globals
    with refusals(cloud, "to describe Migrate"):
        function = cloud.client("lambda").get_function_configuration(FunctionName=migrate)
    urls = function["Environment"]["Variables"].get("TASK_QUEUE_URLS", "")
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return {"TASK_QUEUE_URLS": urls, "AWS_ENDPOINT_URL": local.url, **credentials}
