"""LocalStack from its wheel: one process on loopback, with our Lambda executor, owned by this process."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.errors import LocalCloudError
from infra.local.warden import Warden

__all__ = ["LocalStack"]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".decant/localstack/bin/python"
IMAGE = ROOT / ".decant/lambda-image"

_PASSED_ON = ("HOME", "LANG", "PATH", "TMPDIR", "USER")
"""What LocalStack gets of our environment; the rest could change what it does."""


class LocalStack:
    """LocalStack with its files in `folder`; a context manager that starts and stops it.

    Args:
        folder: Where its log and its files live; made when missing.
        port: TCP port on 127.0.0.1.
        warden: Ends it when this process dies.
    """

    def __init__(self, folder: Path, port: int, warden: Warden) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.log = self.folder / "localstack.log"
        self.journal = self.folder / "functions.jsonl"
        self._warden = warden
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where every AWS API answers: the AWS_ENDPOINT_URL of clients."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, timeout_s: float = 60) -> None:
        """Start it and wait until it answers.

        Raises:
            LocalCloudError: it ended, or did not answer in time.
        """
        self._check()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journal.write_bytes(b"")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-m", "infra.local.executor"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us, and we stop it before what it uses
            )
        self._warden.hold_group(self._process.pid)
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LocalCloudError(f"LocalStack did not start; the end of {self.log}:\n{self._log_tail()}")
            time.sleep(0.05)

    def stop(self, grace_s: float = 1.5) -> None:
        """End it with all its functions; nothing happens when it is not running.

        Its functions end within a second. It would go on waiting for threads of its own, but has nothing to keep.
        """
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._warden.release_group(process.pid)

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def _environment(self) -> dict[str, str]:
        settings = {
            "CONFIG_DIR": str(self.folder),
            "DECANT_JOURNAL": str(self.journal),
            "DECANT_LAMBDA_IMAGE": str(IMAGE),
            "DISABLE_EVENTS": "1",
            "DNS_ADDRESS": "0",
            "FILESYSTEM_ROOT": str(self.folder / "filesystem"),
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "GATEWAY_SERVER": "loopback",
            "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "1",
            "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": "0.02",
            "LAMBDA_RUNTIME_EXECUTOR": "process",
            "LOCALSTACK_HOST": f"127.0.0.1:{self.port}",  # in the addresses that it gives out
            "LOCALSTACK_VOLUME_DIR": str(self.folder / "volume"),
            "OVERRIDE_IN_DOCKER": "0",  # it takes any container for its own image, and writes all over it
            "PYTHONPATH": f"{ROOT}:{ROOT / 'infra/local/registration'}",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "SQS_ENDPOINT_STRATEGY": "path",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | settings

    def _check(self) -> None:
        if not PYTHON.exists() or not IMAGE.exists():
            raise LocalCloudError("LocalStack is not installed; run `make install`.")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                other = f"PORT={self.port + 1} make up"
                raise LocalCloudError(
                    f"Port {self.port} is busy; stop what listens there, or take another: {other}"
                ) from error

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_localstack/health", timeout=1):  # noqa: S310  # our own address
                return True
        except OSError:
            return False

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
