"""Starts the local cloud as a process that stays when its starter returns."""

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.state import Claim, running

__all__ = ["run"]

_LOOK_EVERY_S = 0.05
_ERROR = "error: "


def run(*, state: Path, arguments: Iterable[str]) -> None:
    """Start `decant` with these arguments in a session of its own, and show what it prints until it is up.

    Raises:
        LocalCloudError: it did not start, for the reason that it gave.
    """
    with Claim(state, "up"):
        pass  # or another process holds it, and its log stays as it is
    log = state / "up.log"
    command = [sys.executable, "-m", "decant_cloud", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _show_until_up(process, log, state)
        print("`make logs` follows the logs; `make down` stops everything.")
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def _show_until_up(process: subprocess.Popen[bytes], log: Path, state: Path) -> None:
    shown = 0
    while True:
        # Before the log is read, which then holds all output up to that moment.
        is_up, status = running(state) is not None, process.poll()
        output, _, error = log.read_text().partition(_ERROR)
        print(output[shown:], end="", flush=True)
        shown = len(output)
        if status is not None:
            raise LocalCloudError(error.strip() or f"It has ended with status {status}; see {log}.")
        if is_up:
            return
        time.sleep(_LOOK_EVERY_S)
