"""For tests of `decant.celery`: apps that are removed again, and a worker of `python -m decant worker`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from decant.celery import loading
from decant.tasks.registry import periodic, registry

__all__ = ["ROOT", "environment", "python", "restored", "worker"]

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def restored() -> Iterator[None]:
    """Remove the apps and tasks that are defined inside the block after it."""
    known: list[dict[str, Any]] = [registry, periodic, loading.tasks]
    before, current, apps = [dict(each) for each in known], loading.current.app, list(loading.apps)
    try:
        yield
    finally:
        for each, kept in zip(known, before, strict=True):
            each.clear()
            each.update(kept)
        loading.current.app, loading.apps[:] = current, apps


def environment(**variables: str) -> dict[str, str]:
    """Environment of a process that finds the library, and the modules of its working directory."""
    return os.environ | {"PYTHONPATH": f"{ROOT / 'shared'}", "LOG_LEVEL": "INFO"} | variables


def python(folder: Path, *arguments: str, stdin: str | None = None, **variables: str) -> str:
    """Run Python in a folder; returns its output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def worker(
    folder: Path, *arguments: str, python: str = sys.executable, **variables: str
) -> Iterator["subprocess.Popen[str]"]:
    """A worker that is ready, with its output in `worker.log`; killed at the end of the block unless it has ended."""
    log = folder / "worker.log"
    with log.open("w") as output:
        command = [python, "-m", "decant", "worker", *arguments]
        process = subprocess.Popen(
            command, cwd=folder, env=environment(**variables), stdout=output, stderr=output, text=True
        )
        try:
            while "Worker ready" not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)
