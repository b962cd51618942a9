"""The two servers under test, each with its own database: the local cloud's gateway and `make serve`."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from decant_cloud.local.cloud import LocalCloud, Options
from decant_cloud.local.postgres import free_port
from tests.benchmarks.fuzz.drafts import Subject
from tests.benchmarks.fuzz.tokens import Tokens
from tests.loading import ROOT
from tests.upstream import Upstream

__all__ = ["gateway", "gateway_subject", "serve"]

_STARTED_WITHIN_S = 60
_STOPPED_WITHIN_S = 30


@contextmanager
def gateway() -> Iterator[Subject]:
    """A local cloud with the bundle, in a folder of its own."""
    with _folder() as state, Upstream() as upstream:
        options = Options(state=state, port=free_port(), parameters={"FetchDataUrl": f"{upstream.url}/1"})
        with LocalCloud(options) as cloud:
            cloud.start()
            yield gateway_subject(cloud.deployment.api_url, state)


def gateway_subject(api_url: str, state: Path) -> Subject:
    """The deployed API of a local cloud.

    Args:
        api_url: Its address, without a slash at the end.
        state: The local cloud's folder.
    """
    url = urlsplit(api_url)
    address = (url.hostname or "", url.port or 80)
    return Subject(name="gateway of the local cloud", address=address, prefix=url.path, tokens=Tokens(state))


@contextmanager
def serve() -> Iterator[Subject]:
    """`make serve` as a process, in a folder of its own."""
    port = free_port()
    command = [sys.executable, "-m", "decant_cloud", "serve", "--port", str(port), "--state"]
    with _folder() as state, Upstream() as upstream, (state / "output.txt").open("wb") as output:
        environment = {**os.environ, "PYTHONPATH": "shared:infra", "FETCH_DATA_URL": f"{upstream.url}/1"}
        environment |= dict.fromkeys(("UPLOADS_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test")
        process = subprocess.Popen(
            [*command, str(state)], cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait(process, port, Path(output.name))
            yield Subject(name="make serve", address=("127.0.0.1", port), prefix="", tokens=Tokens(state))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_STOPPED_WITHIN_S)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="decant-fuzz-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL's own user needs access when this process is root
        yield Path(folder)


def _wait(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while not _accepts(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"make serve did not start:\n{output.read_text(errors='replace')}")
        time.sleep(0.05)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:
        return False
    return True
