"""A local cloud that runs for the figures: `make up`, and what it is made of."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from decant_cloud.local.postgres import free_port
from tests.benchmarks.local.measures import Measure
from tests.loading import ROOT

__all__ = ["Running", "environment_mb", "fresh_clone_s", "memory", "up"]

GET = "async?seconds=0"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A local cloud that answers.

    Attributes:
        api_url: Of the stage, without a slash at the end.
        url: Where every AWS API answers.
        journal: Every log line of its functions.
        process: Of `make up`, or of make itself.
        started_s: How long it took to the first 200.
    """

    api_url: str
    url: str
    journal: Path
    process: psutil.Process
    started_s: float


@contextmanager
def up(root: Path, state: Path) -> Iterator[Running]:
    """`make up` in a bundle's folder, once GET /async has answered 200."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    command = ["make", "up"] if root != ROOT else [sys.executable, "-m", "decant_cloud", "up", "--state", str(state)]
    started = time.monotonic()
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            api_url = _wait_for_api(process, Path(log.name))
            httpx.get(f"{api_url}/{GET}", timeout=60).raise_for_status()
            yield Running(
                api_url=api_url,
                url=f"http://127.0.0.1:{port}",
                journal=state / "engine/functions.jsonl",
                process=psutil.Process(process.pid),
                started_s=time.monotonic() - started,
            )
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()


def fresh_clone_s() -> float:
    """Seconds from `git clone` of HEAD to the first 200, with nothing installed but what uv has downloaded before."""
    with tempfile.TemporaryDirectory(prefix="decant-clone-") as folder:
        Path(folder).chmod(0o755)
        clone = Path(folder) / "decant"
        started = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        with up(clone, clone / ".decant/local"):
            return time.monotonic() - started


def memory(running: Running) -> list[Measure]:
    """Megabytes that each part holds; what processes share is counted once, where the system provides the figure."""
    parts: dict[str, float] = {}
    for process in [running.process, *running.process.children(recursive=True)]:
        part = _part(process)
        parts[part] = parts.get(part, 0) + _held_mb(process)
    measures = [Measure(name=f"memory, idle: {part}", value=mb, unit="MB") for part, mb in sorted(parts.items())]
    return [*measures, Measure(name="memory, idle: all of it", value=sum(parts.values()), unit="MB")]


def environment_mb(running: Running) -> list[float]:
    """Megabytes that each environment of a function holds."""
    processes = running.process.children(recursive=True)
    return [_held_mb(process) for process in processes if _part(process) == "functions"]


def _part(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    marks = {
        "awslambdaric": "functions",
        "decant_cloud.emulator_patches": "engine",
        "decant_cloud": "up",
        "warden": "wardens",
        "postgres": "PostgreSQL",
    }
    return next((part for mark, part in marks.items() if mark in words), "others")


def _held_mb(process: psutil.Process) -> float:
    memory = process.memory_full_info()
    held: int = getattr(memory, "pss", memory.rss)
    return held / 1024 / 1024


def _wait_for_api(process: subprocess.Popen[bytes], log: Path) -> str:
    """The API's address, once it is printed."""
    while (printed := re.search(r"curl -s '(\S+)/async", log.read_text())) is None:
        if process.poll() is not None:
            sys.exit(f"the local cloud did not start:\n{log.read_text()}")
        time.sleep(0.02)
    return printed[1]
