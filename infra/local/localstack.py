"""LocalStack from its wheel: one process on loopback, with our Lambda executor, owned by this process."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.errors import LocalCloudError
from infra.local.ports import require_free
from infra.local.warden import Warden

__all__ = ["LocalStack"]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".decant/localstack/bin/python"
IMAGE = ROOT / ".decant/lambda-image"
CACHE = ROOT / ".decant/localstack-cache"
"""Its index of every AWS API, 3 s of work: made once, whatever folder it runs in."""

_PASSED_ON = ("HOME", "LANG", "LS_LOG", "PATH", "USER")
"""What LocalStack gets of our environment; the rest could change what it does."""

_SETTINGS = {
    "GATEWAY_SERVER": "loopback",  # ours
    "LAMBDA_RUNTIME_EXECUTOR": "process",  # ours
    "OVERRIDE_IN_DOCKER": "0",  # it takes any container for its own image, and writes all over it
    # Nothing leaves the machine.
    "DISABLE_EVENTS": "1",
    "DNS_ADDRESS": "0",
    "SKIP_SSL_CERT_DOWNLOAD": "1",
    # Queues at one address, whatever names resolve to.
    "SQS_ENDPOINT_STRATEGY": "path",
    # Speed: messages are picked up at once; its services call each other without HTTP; no metrics and no line for each
    # request.
    "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": "0.02",
    "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "0.2",
    "CFN_NO_WAIT_ITERATIONS": "1",
    "IN_MEMORY_CLIENT": "1",
    "SQS_DISABLE_CLOUDWATCH_METRICS": "1",
    "LS_LOG": "warn",
}
"""LocalStack's configuration: https://docs.localstack.cloud/references/configuration/"""


class LocalStack:
    """LocalStack with its files in `folder`; a context manager that starts and stops it.

    Args:
        folder: Where its log and its files live; emptied at each start.
        port: TCP port on 127.0.0.1.
        warden: Ends it when this process dies.
        variables: Environment variables for the executor in it.
    """

    def __init__(self, folder: Path, port: int, warden: Warden, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.title = f"LocalStack on 127.0.0.1:{port}"
        self.log = self.folder / "localstack.log"
        self.journal = self.folder / "functions.jsonl"
        self._warden = warden
        self._variables = variables or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None

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
        self._prepare_folder()
        # In the system's own place for such: paths of sockets are short, and so must the way to them be.
        self._scratch = Path(tempfile.mkdtemp(prefix="decant-"))
        self._warden.hold_folder(self._scratch)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [PYTHON, "-m", "infra.local.executor"],
                cwd=self.folder,
                env=self._environment(self._scratch),
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
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of its process, once it is started."""
        assert self._process is not None  # noqa: S101  # start() sets it
        return self._process.pid

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def _environment(self, scratch: Path) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        addresses = {
            "DECANT_JOURNAL": str(self.journal),
            "DECANT_LAMBDA_IMAGE": str(IMAGE),
            "DECANT_SCRATCH": str(scratch),
            "CONFIG_DIR": str(self.folder),
            "FILESYSTEM_ROOT": str(self.folder / "filesystem"),
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "LOCALSTACK_HOST": f"127.0.0.1:{self.port}",  # in the addresses that it gives out
            "LOCALSTACK_VOLUME_DIR": str(self.folder / "volume"),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'infra/local/registration'}",
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_CACHE_HOME": str(CACHE),
        }
        return {**_SETTINGS, **passed_on, **addresses, **self._variables}

    def _check(self) -> None:
        if not PYTHON.exists() or not IMAGE.exists():
            raise LocalCloudError("LocalStack is not installed; run `make install`.")
        require_free(self.port, "up")

    def _prepare_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)  # of the last time; it keeps nothing that could be used again
        cache = self.folder / "filesystem/var/lib/localstack/cache"
        cache.parent.mkdir(parents=True)
        CACHE.mkdir(exist_ok=True)
        cache.symlink_to(CACHE, target_is_directory=True)
        (self.folder / "tmp").mkdir()
        self.journal.touch()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_localstack/health", timeout=1):  # noqa: S310  # our own address
                return True
        except OSError:
            return False

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
