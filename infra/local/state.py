"""Who runs the local cloud of a state folder: one at a time, and others can see where it is."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.database_address import write_sam_files
from infra.local.errors import LocalCloudError

__all__ = ["Claim", "Running", "holder", "require_running", "require_up", "running"]

_NAME = "running.json"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A local cloud that runs, or is about to.

    Attributes:
        command: What started it: `up` or `serve`.
        since: When, epoch seconds.
        url: Where it answers: the AWS APIs of `up`, the app of `serve`; empty until it does.
        database_url: SQLAlchemy address of its database; likewise.
        stack: Name of the deployed stack.
    """

    pid: int
    command: str
    since: float
    url: str = ""
    database_url: str = ""
    stack: str = ""


class Claim:
    """A state folder, claimed for this process until it ends; a context manager.

    Raises on entering:
        LocalCloudError: another process has it.
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
            # The lock goes with the process, whichever way it ends; the text is for others to read.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            other = holder(self._path.parent)
            who = f"`{other.command}` (process {other.pid})" if other else "another process"
            raise LocalCloudError(f"{who} is using {self._path.parent} already; `make down` stops it.") from None
        self._mine = Running(pid=os.getpid(), command=self._command, since=time.time())
        self._write(self._mine)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.truncate(0)
        self._file.close()

    def announce(self, url: str, database_url: str, stack: str = "") -> None:
        """Tell others where this local cloud is, once it is there."""
        write_sam_files(self._path.parent, database_url)
        self._write(replace(self._mine, url=url, database_url=database_url, stack=stack))

    def _write(self, mine: Running) -> None:
        self._file.truncate(0)
        self._file.write(json.dumps(asdict(mine)))
        self._file.flush()


def running(folder: Path) -> Running | None:
    """The local cloud that runs on a state folder, once it has announced itself."""
    found = holder(folder)
    return found if found and found.url else None


def require_running(folder: Path) -> Running:
    """The local cloud that runs on a state folder.

    Raises:
        LocalCloudError: there is none, or not yet; the message says what to do.
    """
    found = holder(folder)
    if found is None:
        raise LocalCloudError(f"Nothing runs in {folder}; `make up` starts the local cloud.")
    if not found.url:
        raise LocalCloudError(f"`{found.command}` (process {found.pid}) is still starting; try again in a moment.")
    return found


def require_up(folder: Path) -> Running:
    """The same, if it is one of `up`.

    Raises:
        LocalCloudError: there is none, or it is without AWS.
    """
    found = require_running(folder)
    if found.command != "up":
        raise LocalCloudError(f"`{found.command}` (process {found.pid}) runs without AWS; this takes a `make up`.")
    return found


def holder(folder: Path) -> Running | None:
    """Who has a state folder, whether it has announced itself or not."""
    try:
        with (folder / _NAME).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None  # nobody holds it: the text is of one that was killed
    except FileNotFoundError:
        return None
    except BlockingIOError:
        text = (folder / _NAME).read_text()
        return Running(**json.loads(text)) if text else None
