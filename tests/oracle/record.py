"""Record what real Celery returns, with a Redis of its own: `make oracle`.

The recording is committed, so that `make test` needs neither Celery nor Redis.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from decant_cloud.local.postgres import free_port

__all__ = ["RECORDING"]

RECORDING = Path(__file__).with_name("recording.json")
ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the cases under the Celery of this interpreter; with `--check`, compare with the recording instead."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        check = sys.argv[1:] == ["--check"]
        target = Path(folder) / "recording.json" if check else RECORDING
        url = stack.enter_context(_redis(Path(folder)))
        environment = os.environ | {"ORACLE_REDIS": url, "ORACLE_FOLDER": folder, "PYTHONPATH": str(ROOT)}
        stack.enter_context(_worker(environment, Path(folder) / "worker.log"))
        command = [sys.executable, "-m", "tests.oracle.run", str(target)]
        subprocess.run(command, env=environment, cwd=ROOT, check=True)
        return _compare(target) if check else 0


def _compare(recorded: Path) -> int:
    """Print the cases that differ from the recording; returns the exit status."""
    before, now = json.loads(RECORDING.read_text()), json.loads(recorded.read_text())
    different = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    for name in different:
        print(f"{name}: recorded {before.get(name)!r}, now {now.get(name)!r}")  # noqa: T201  # output of a command
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
def _process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    raise SystemExit(main())
