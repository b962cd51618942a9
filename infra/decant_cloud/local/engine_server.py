"""The engine, an emulator of AWS from its wheel: a process on loopback, changed by `emulator_patches`."""

import os
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from decant_cloud.emulator_patches.engine import ENGINES, Engine
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.ports import require_free
from decant_cloud.local.server import Launch, Server, Spec
from decant_cloud.local.warden import Warden
from decant_cloud.paths import root

__all__ = ["EngineServer", "chosen"]

_PACKAGE = Path(__file__).resolve().parents[1]
IMAGE = root() / ".decant/lambda-image"

_PASSED_ON = ("HOME", "LANG", "LS_LOG", "PATH", "USER")
"""Variables of our environment that the engine gets; others could change its behaviour."""

_SETTINGS = {
    "GATEWAY_SERVER": "loopback",
    "LAMBDA_RUNTIME_EXECUTOR": "process",
    "OVERRIDE_IN_DOCKER": "0",  # in a container, it would take the file system for that of its own image
    # Nothing leaves the machine.
    "DISABLE_EVENTS": "1",
    "DNS_ADDRESS": "0",
    "SKIP_SSL_CERT_DOWNLOAD": "1",
    # Presigned URLs of any credentials are accepted, as other requests are.
    "S3_SKIP_SIGNATURE_VALIDATION": "1",
    # Addresses of queues that need no name resolution.
    "SQS_ENDPOINT_STRATEGY": "path",
    # Speed: short polls, services that call each other without HTTP, no metrics, no line for each request.
    "LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC": "0.02",
    "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "0.2",
    "CFN_NO_WAIT_ITERATIONS": "1",
    "IN_MEMORY_CLIENT": "1",
    "SQS_DISABLE_CLOUDWATCH_METRICS": "1",
    "LS_LOG": "warn",
}
"""The engine's configuration: https://docs.localstack.cloud/references/configuration/"""


def chosen() -> Engine:
    """The engine that ENGINE names in the environment; LocalStack by default.

    Raises:
        LocalCloudError: there is no such engine.
    """
    name = os.environ.get("ENGINE") or next(iter(ENGINES))
    if name not in ENGINES:
        raise LocalCloudError(f"ENGINE is {name!r}; it has to be {' or '.join(ENGINES)}.")
    return ENGINES[name]


class EngineServer(Server):
    """The engine with its files in `folder`; a context manager that starts and stops it.

    Its functions end within a second. It would wait for threads of its own, but has no state to keep.

    Args:
        folder: Its log and its files; emptied at each start.
        port: TCP port on 127.0.0.1.
        warden: Ends it when this process dies.
        variables: Environment variables for the executor in it.
        engine: The engine; the one that ENGINE names when not given.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        warden: Warden,
        variables: Mapping[str, str] | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.journal = self.folder / "functions.jsonl"
        self._engine = engine or chosen()
        self._python = root() / f".decant/{self._engine.package}/bin/python"
        self._cache = root() / f".decant/{self._engine.package}-cache"
        self._variables = variables or {}
        self._scratch: Path | None = None
        spec = Spec(
            name=self._engine.title,
            prepare=self._prepare,
            is_ready=self._is_ready,
            stop_with=signal.SIGTERM,
            grace_s=1.5,
            is_group=True,
        )
        super().__init__(spec, port, self.folder / "engine.log", warden)

    @property
    def url(self) -> str:
        """Address of all AWS APIs: the AWS_ENDPOINT_URL of clients."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop it with all its functions."""
        super().stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def mounts(self) -> bool:
        """It runs code from its folder, without a copy."""
        return True

    def _prepare(self) -> Launch:
        if not self._python.exists() or not IMAGE.exists():
            raise LocalCloudError(f"{self._engine.title} is not installed; run `{self._engine.install}`.")
        require_free(self.port, "up")
        self._prepare_folder()
        # In the system's temporary folder: paths of sockets have to be short.
        self._scratch = Path(tempfile.mkdtemp(prefix="decant-"))
        if self._warden:
            self._warden.hold_folder(self._scratch)
        command = [str(self._python), "-m", "decant_cloud.emulator_patches"]
        return Launch(command=command, folder=self.folder, variables=self._environment(self._scratch))

    def _environment(self, scratch: Path) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        addresses = {
            "DECANT_ENGINE": self._engine.package,
            "DECANT_JOURNAL": str(self.journal),
            "DECANT_LAMBDA_IMAGE": str(IMAGE),
            "DECANT_SCRATCH": str(scratch),
            "CONFIG_DIR": str(self.folder),
            "FILESYSTEM_ROOT": str(self.folder / "filesystem"),
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            f"{self._engine.variables}HOST": f"127.0.0.1:{self.port}",  # in the addresses that it gives out
            f"{self._engine.variables}VOLUME_DIR": str(self.folder / "volume"),
            "DECANT_BUNDLE": str(root()),
            "PYTHONPATH": str(self.folder / "packages"),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_CACHE_HOME": str(self._cache),
        }
        return {**_SETTINGS, **passed_on, **addresses, **self._variables}

    def _prepare_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)  # of the start before
        # Its index of all AWS APIs, 3 s of work, is kept for the next start.
        cache = self.folder / "filesystem" / self._engine.cache
        cache.parent.mkdir(parents=True)
        self._cache.mkdir(exist_ok=True)
        cache.symlink_to(self._cache, target_is_directory=True)
        (self.folder / "tmp").mkdir()
        packages = self.folder / "packages"  # only this package, not all that is installed beside it
        packages.mkdir()
        for path in (_PACKAGE, *_PACKAGE.glob("emulator_patches/registration/*.dist-info")):
            (packages / path.name).symlink_to(path, target_is_directory=True)
        self.journal.touch()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{self._engine.health_path}", timeout=1):  # noqa: S310  # our own address
                return True
        except OSError:
            return False
