"""A server of the local cloud: a child process with its log in a file, which ends with the process that started it."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.warden import Warden

__all__ = ["Launch", "Server"]

_LOOK_EVERY_S = 0.05
_LINES_OF_LOG = 8


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a server's process is started with.

    Attributes:
        folder: That it runs in; ours when not given.
        variables: Its environment; likewise.
        user: That it runs as; likewise.
    """

    command: Sequence[str]
    folder: Path | None = None
    variables: Mapping[str, str] | None = None
    user: str | None = None


class Server(ABC):
    """A server on a port of loopback; a context manager that starts and stops it.

    Attributes:
        title: What it is, and where.
        log: File of what it writes.
    """

    name: ClassVar[str]
    _stop_with: ClassVar[signal.Signals]
    _grace_s: ClassVar[float]
    _end_with: ClassVar[signal.Signals]
    """When it has not stopped within its grace."""

    def __init__(self, port: int, log: Path, warden: Warden | None) -> None:
        self.port = port
        self.title = f"{self.name} on 127.0.0.1:{port}"
        self.log = log
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
    def pid(self) -> int:
        """Of its process, once it is started."""
        assert self._process is not None  # noqa: S101  # start() sets it
        return self._process.pid

    def start(self, timeout_s: float = 60) -> None:
        """Start it and wait until it answers.

        Raises:
            LocalCloudError: it ended, or did not answer in time; the message holds the end of its log.
        """
        launch = self._prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launch.command,
                cwd=launch.folder,
                env=launch.variables,
                user=launch.user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us, and we stop it in its turn
            )
        if self._warden:
            self._hold(self._warden)
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LocalCloudError(f"{self.name} did not start; the end of {self.log}:\n{self._log_tail()}")
            time.sleep(_LOOK_EVERY_S)

    def stop(self) -> None:
        """End it, in order if that is done in time; nothing happens when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self._stop_with)
        try:
            process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            process.send_signal(self._end_with)
            process.wait()
        if self._warden:
            self._release(self._warden, process.pid)

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def _prepare(self) -> Launch:
        """Bring its files into order, and say how it is started."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it is ready."""

    @abstractmethod
    def _hold(self, warden: Warden) -> None:
        """Have its process ended when ours dies."""

    @abstractmethod
    def _release(self, warden: Warden, pid: int) -> None:
        """Take that back."""

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LINES_OF_LOG:])
