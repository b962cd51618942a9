"""`down`: stops the local cloud of a folder, also when another process started it."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.progress import Steps
from decant_cloud.local.state import holder
from decant_cloud.local.terminal import output

__all__ = ["run"]

STOPPED_WITHIN_S = 30
LOOK_EVERY_S = 0.05


def run(*, state: Path) -> None:
    """Have it stop all its parts in order, and wait until it has.

    Raises:
        LocalCloudError: it did not.
    """
    console = output()
    found = holder(state)
    if found is None:
        console.print(f"Nothing runs in {state}.", highlight=False, soft_wrap=True)
        return
    deadline = time.monotonic() + STOPPED_WITHIN_S
    with Steps(console) as steps, steps.step(f"Stop of `{found.command}` (process {found.pid})"):
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(found.pid, signal.SIGTERM)
        while holder(state) is not None:
            if time.monotonic() > deadline:
                raise LocalCloudError(f"Process {found.pid} has not stopped within {STOPPED_WITHIN_S} s.")
            time.sleep(LOOK_EVERY_S)
