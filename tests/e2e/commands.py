"""Commands of the local cloud as processes, and what they print."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.loading import ROOT

__all__ = ["STARTED_WITHIN_S", "Command", "command", "left_of"]

STARTED_WITHIN_S = 240


@dataclass
class Command:
    """A running `decant …` and what it has printed."""

    process: subprocess.Popen[bytes]
    output: Path
    state: Path

    @property
    def printed(self) -> str:
        """All that it has printed so far."""
        return self.output.read_text()

    def wait_for(self, text: str, within_s: float = STARTED_WITHIN_S) -> None:
        """Wait until it has printed something."""
        deadline = time.monotonic() + within_s
        while text not in self.printed:
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.05)

    def children(self) -> Sequence[psutil.Process]:
        """Every process that it has started, and those that these have."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send it a signal and wait for its exit status."""
        self.process.send_signal(number)
        return self.process.wait(120)


def left_of(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that still run although they were given time to end."""
    alive: list[psutil.Process] = psutil.wait_procs(processes, timeout=60)[1]
    return alive


def command(state: Path, *arguments: str, root: Path = ROOT, **variables: str) -> Command:
    """Start a command of the local cloud, of a clone and with environment variables."""
    output = state / "output.txt"
    plain = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL"}
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "decant_cloud", *arguments, "--state", str(state / "local")],
            cwd=root,
            env={**plain, "PYTHONPATH": "shared:infra", "COLUMNS": "80", **variables},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return Command(process, output, state)
