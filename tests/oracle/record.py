"""Record what real Celery returns, with a Redis of its own: `make oracle`.

The recording is committed, so that `make test` needs neither Celery nor Redis.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from decant_cloud.local.postgres import free_port

__all__ = ["RECORDING"]

RECORDING = Path(__file__).with_name("recording.json")
ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 4
TIMEOUT_S = 300


def main() -> int:
    """Run the cases under the Celery of this interpreter; with `--check`, compare with the recording instead."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        url = stack.enter_context(_redis(Path(folder)))
        environment = os.environ | {"ORACLE_REDIS": url, "ORACLE_FOLDER": folder, "PYTHONPATH": str(ROOT)}
        stack.enter_context(_worker(environment, Path(folder) / "worker.log"))
        observed = _observe([[f"{number}/{PROCESSES}"] for number in range(PROCESSES)], environment, Path(folder))
        if sys.argv[1:] == ["--check"]:
            return _compare(observed, environment, Path(folder))
        RECORDING.write_text(json.dumps(observed, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
        return 0


def _observe(parts: Sequence[Sequence[str]], environment: dict[str, str], folder: Path) -> dict[str, Any]:
    """Run parts of the cases in processes side by side: Celery's client is not safe in threads, and most cases wait."""
    with ExitStack() as stack:
        files = [folder / f"part-{number}.json" for number in range(len(parts))]
        command = [sys.executable, "-m", "tests.oracle.run"]
        commands = [[*command, str(file), *part] for file, part in zip(files, parts, strict=True)]
        running = [stack.enter_context(_process(command, environment)) for command in commands]
        if failed := [process.args for process in running if process.wait(TIMEOUT_S)]:
            raise SystemExit(f"error: {failed} failed")
    return {name: found for file in files for name, found in json.loads(file.read_text()).items()}


def _compare(observed: dict[str, Any], environment: dict[str, str], folder: Path) -> int:
    """Print the cases that differ from the recording; returns the exit status.

    They run again alone first: on a busy machine, Celery applies time limits late.
    """
    recorded: dict[str, Any] = json.loads(RECORDING.read_text())
    if again := [name for name in recorded if observed.get(name) != recorded[name]]:
        observed |= _observe([again], environment, folder)
    different = sorted(name for name in recorded.keys() | observed if observed.get(name) != recorded.get(name))
    for name in different:
        print(f"{name}: recorded {recorded.get(name)!r}, now {observed.get(name)!r}")  # noqa: T201  # a command's output
    return int(bool(different))


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    server = shutil.which("redis-server")
    if server is None:
        raise SystemExit("error: redis-server is not installed: apt-get install redis-server")
    port = free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with _process(command, os.environ.copy(), folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def _worker(environment: dict[str, str], log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "tests.oracle.program.worker", "worker"]
    command += ["--pool", "prefork", "--concurrency", "8", "--loglevel", "WARNING"]
    with _process(command, environment, log):
        yield


@contextmanager
def _process(
    command: list[str], environment: dict[str, str], log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        output = None if log is None else stack.enter_context(log.open("wb"))
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    raise SystemExit(main())
