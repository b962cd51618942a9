"""Lock of a state folder: one process at a time runs its local cloud, and other commands read its addresses."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from decant_cloud.local.database_address import write_sam_files
from decant_cloud.local.errors import LocalCloudError

__all__ = ["Claim", "Running", "holder", "require_running", "require_up", "running"]

_NAME = "running.json"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A local cloud that runs or starts.

    Attributes:
        command: Command that started it: `up` or `serve`.
        since: Start time, epoch seconds.
        url: URL of the AWS APIs (`up`) or of the app (`serve`); empty until it is ready.
        database_url: SQLAlchemy address of its database, with the password; empty until it is ready.
        stack: Name of the deployed stack.
    """

    pid: int
    command: str
    since: float
    url: str = ""
    database_url: str = ""
    stack: str = ""


class Claim:
    """Lock of a state folder, held until the process ends; a context manager.

    Raises on entering:
        LocalCloudError: another process holds it.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self._path = folder / _NAME
        self._command = command

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # The database's address, which is written into it, contains the password.
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "a+")
        os.fchmod(self._file.fileno(), 0o600)
        try:
            # The kernel releases the lock when the process ends; other commands read the text.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            other = holder(self._path.parent)
            who = f"`{other.command}` (process {other.pid})" if other else "another process"
            raise LocalCloudError(f"{who} is using {self._path.parent} already; `make down` stops it.") from None
        self._mine = Running(pid=os.getpid(), command=self._command, since=time.time())
        self._write(self._mine)
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.truncate(0)
        self._file.close()

    def announce(self, url: str, database_url: str, stack: str = "") -> None:
        """Publish the addresses of this local cloud once it is ready."""
        write_sam_files(self._path.parent, database_url)
        self._write(replace(self._mine, url=url, database_url=database_url, stack=stack))

    def _write(self, mine: Running) -> None:
        self._file.truncate(0)
        self._file.write(json.dumps(asdict(mine)))
        self._file.flush()


def running(folder: Path) -> Running | None:
    """The local cloud that runs on a state folder, once it is ready."""
    found = holder(folder)
    return found if found and found.url else None


def require_running(folder: Path) -> Running:
    """The local cloud that runs on a state folder.

    Raises:
        LocalCloudError: none runs, or it is not ready; the message contains the remedy.
    """
    found = holder(folder)
    if found is None:
        raise LocalCloudError(f"Nothing runs in {folder}; `make up` starts the local cloud.")
    if not found.url:
        raise LocalCloudError(f"`{found.command}` (process {found.pid}) is still starting; try again in a moment.")
    return found


def require_up(folder: Path) -> Running:
    """The local cloud that `up` runs on a state folder.

    Raises:
        LocalCloudError: none runs, or `serve` runs, which has no AWS APIs.
    """
    found = require_running(folder)
    if found.command != "up":
        raise LocalCloudError(
            f"`{found.command}` (process {found.pid}) runs without AWS; this command needs `make up`."
        )
    return found


def holder(folder: Path) -> Running | None:
    """The local cloud that holds a state folder, ready or not."""
    try:
        with (folder / _NAME).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None  # no process holds it: the text is of a killed one
    except FileNotFoundError:
        return None
    except BlockingIOError:
        text = (folder / _NAME).read_text()
        return Running(**json.loads(text)) if text else None
