"""A server of the local cloud: a child process with its log in a file, which ends with the process that started it."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.warden import Warden

__all__ = ["Launch", "Server", "Spec"]

_LOOK_EVERY_S = 0.05
_LINES_OF_LOG = 8


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Arguments of a server's process; what is not given is this process's.

    Attributes:
        command: Command line.
        folder: Working directory.
        variables: Environment.
        user: Name of the system user.
    """

    command: Sequence[str]
    folder: Path | None = None
    variables: Mapping[str, str] | None = None
    user: str | None = None


@dataclass(frozen=True, kw_only=True)
class Spec:
    """How a server is started and stopped.

    Attributes:
        name: Name in messages.
        prepare: Prepares the server's files; called before each start.
        is_ready: Whether the server accepts requests.
        stop_with: Signal that stops it.
        grace_s: Seconds until the server gets `end_with`.
        end_with: Signal that ends it at once.
        is_group: When this process dies, the whole process group is killed, and not its leader stopped.
    """

    name: str
    prepare: Callable[[], Launch]
    is_ready: Callable[[], bool]
    stop_with: signal.Signals
    grace_s: float
    end_with: signal.Signals = signal.SIGKILL
    is_group: bool = False


class Server:
    """A server on a port of loopback; a context manager that starts and stops it.

    Attributes:
        title: Name and address.
        log: File with its output.
    """

    def __init__(self, spec: Spec, port: int, log: Path, warden: Warden | None = None) -> None:
        self._spec = spec
        self.port = port
        self.title = f"{spec.name} on 127.0.0.1:{port}"
        self.log = log
        self._warden = warden
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Id of its process, once it is started."""
        assert self._process is not None  # noqa: S101  # start() sets it
        return self._process.pid

    def start(self, timeout_s: float = 180) -> None:
        """Start the server and wait until it is ready.

        Raises:
            LocalCloudError: it ended, or was not ready in time; the message contains the end of its log.
        """
        launch = self._spec.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launch.command,
                cwd=launch.folder,
                env=launch.variables,
                user=launch.user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches this process, which stops the servers in order
            )
        if self._warden:
            self._warden.hold(*((-self.pid,) if self._spec.is_group else (self.pid, self._spec.stop_with)))
        deadline = time.monotonic() + timeout_s
        while not self._spec.is_ready():
            status = self._process.poll()
            if status is not None or time.monotonic() > deadline:
                self.stop()
                reason = f"was not ready within {timeout_s:g} s" if status is None else f"ended with status {status}"
                raise LocalCloudError(f"{self._spec.name} {reason}; the end of {self.log}:\n{self._log_tail()}")
            time.sleep(_LOOK_EVERY_S)

    def stop(self) -> None:
        """Stop the server, within its grace period if possible; does nothing when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self._spec.stop_with)
        try:
            process.wait(self._spec.grace_s)
        except subprocess.TimeoutExpired:
            process.send_signal(self._spec.end_with)
            process.wait()
        if self._warden:
            self._warden.release(-process.pid if self._spec.is_group else process.pid)

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LINES_OF_LOG:])
