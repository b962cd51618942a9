"""`reset`: deletes the data of the local cloud."""

import shutil
from pathlib import Path

from decant_cloud.local.state import Claim
from decant_cloud.local.terminal import output

__all__ = ["run"]


def run(*, state: Path) -> None:
    """Delete the database and the logs of the last time.

    Raises:
        LocalCloudError: a local cloud is using them.
    """
    with Claim(state, "reset"):
        for part in ("postgres", "engine"):
            shutil.rmtree(state / part, ignore_errors=True)
    output().print(f"Forgotten: all data in {state}.", highlight=False, soft_wrap=True)
