"""Who runs the local cloud of a state folder: one at a time, and others can see where it is."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.errors import LocalCloudError

__all__ = ["Claim", "Running", "running"]

_NAME = "running.json"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A local cloud that runs.

    Attributes:
        command: What started it: `up` or `serve`.
        database_url: SQLAlchemy address of its database.
    """

    pid: int
    command: str
    url: str
    database_url: str


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
        self._file = self._path.open("a+")
        try:
            # The lock goes with the process, whichever way it ends; the text is for others to read.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            other = running(self._path.parent)
            who = f"`{other.command}` (process {other.pid})" if other else "another process"
            raise LocalCloudError(f"{who} is using {self._path.parent} already; stop it first.") from None
        self._file.truncate(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.truncate(0)
        self._file.close()

    def announce(self, url: str, database_url: str) -> None:
        """Tell others where this local cloud is, once it is there."""
        mine = Running(pid=os.getpid(), command=self._command, url=url, database_url=database_url)
        self._file.write(json.dumps(asdict(mine)))
        self._file.flush()


def running(folder: Path) -> Running | None:
    """The local cloud that runs on a state folder, once it has announced itself."""
    try:
        with (folder / _NAME).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None  # nobody holds it: the text is of one that was killed
    except FileNotFoundError:
        return None
    except BlockingIOError:
        text = (folder / _NAME).read_text()
        return Running(**json.loads(text)) if text else None
