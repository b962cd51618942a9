"""LocalStack from its wheel: one process on loopback, with our Lambda executor, owned by this process."""

import os
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.ports import require_free
from decant_cloud.local.server import Launch, Server
from decant_cloud.local.warden import Warden
from decant_cloud.paths import root

__all__ = ["LocalStack"]

_PACKAGE = Path(__file__).resolve().parents[1]
PYTHON = root() / ".decant/localstack/bin/python"
IMAGE = root() / ".decant/lambda-image"
CACHE = root() / ".decant/localstack-cache"
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


class LocalStack(Server):
    """LocalStack with its files in `folder`; a context manager that starts and stops it.

    Its functions end within a second. It would go on waiting for threads of its own, but has nothing to keep.

    Args:
        folder: Where its log and its files live; emptied at each start.
        port: TCP port on 127.0.0.1.
        warden: Ends it when this process dies.
        variables: Environment variables for the executor in it.
    """

    name = "LocalStack"
    _stop_with = signal.SIGTERM
    _grace_s = 1.5
    _end_with = signal.SIGKILL

    def __init__(self, folder: Path, port: int, warden: Warden, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.journal = self.folder / "functions.jsonl"
        self._variables = variables or {}
        self._scratch: Path | None = None
        super().__init__(port, self.folder / "localstack.log", warden)

    @property
    def url(self) -> str:
        """Where every AWS API answers: the AWS_ENDPOINT_URL of clients."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it with all its functions."""
        super().stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _prepare(self) -> Launch:
        self._check()
        self._prepare_folder()
        # In the system's own place for such: paths of sockets are short, and so must the way to them be.
        self._scratch = Path(tempfile.mkdtemp(prefix="decant-"))
        command = [str(PYTHON), "-m", "decant_cloud.emulator_patches"]
        return Launch(command=command, folder=self.folder, variables=self._environment(self._scratch))

    def _hold(self, warden: Warden) -> None:
        warden.hold_group(self.pid)
        if self._scratch is not None:
            warden.hold_folder(self._scratch)

    def _release(self, warden: Warden, pid: int) -> None:
        warden.release_group(pid)

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
            "DECANT_BUNDLE": str(root()),
            "PYTHONPATH": str(self.folder / "packages"),
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
        packages = self.folder / "packages"  # only this package, not all that is installed beside it
        packages.mkdir()
        for path in (_PACKAGE, *_PACKAGE.glob("emulator_patches/registration/*.dist-info")):
            (packages / path.name).symlink_to(path, target_is_directory=True)
        self.journal.touch()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_localstack/health", timeout=1):  # noqa: S310  # our own address
                return True
        except OSError:
            return False
