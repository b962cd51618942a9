"""Has a source file changed since the process started?

Asked before each invocation, so it must cost little. On a local disk of Linux, one read of inotify reports whether
anything has changed; otherwise each file and folder is compared with one `stat`, for which the 220 files of the library
take 0.5 ms. In a folder that an installer filled (it holds `*.dist-info`), only symbolic links are
followed: what they lead to is being worked on, and what was installed beside them does not change by hand.

Source: inotify(7), statfs(2), linux/magic.h.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

__all__ = ["Sources"]

_MADE_BY_TOOLS = ("__pycache__", ".")
"""Names that start so are not sources: bytecode, and what editors and version control keep beside them."""

_CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""Events of inotify: modify, attributes, moved from and to, create, delete, and deletion and move of the folder."""

_LOCAL = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0x794C7630, 0xF2F52010, 0x2FC12FC1, 0xCA451A4E})
"""File systems that report all changes: ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS, bcachefs. On a file system of
another machine, such as one that a virtual machine shares with its host, a change there is not reported here."""

_EVENTS_BYTES = 64 * 1024

Stamp = tuple[int, int] | None
"""When a file was written and how long it is; None when it is not there."""


class Sources:
    """The files below some folders, as they were when last looked at."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._roots = [str(folder) for folder in folders]
        self._files: dict[str, Stamp] = {}
        self._folders: dict[str, Stamp] = {}
        self._events: int | None = None

    def look(self) -> None:
        """Remember the files as they are now."""
        events, watched, self._folders = _notifications.count(), True, {}
        for folder in (folder for root in self._roots for folder in _folders(root)):
            watched &= _notifications.watch(folder)  # before the content is read: no change is missed
            self._folders[folder] = _stamp(folder)
        self._files = {file: _stamp(file) for folder in self._folders for file in _files(folder)}
        self._events = events if watched else None

    def changed(self) -> bool:
        """Whether a file came, went or was written since `look`."""
        events = _notifications.count()
        if events == self._events and all(_stamp(root) == self._folders[root] for root in self._roots):
            return False
        if written := [file for file, seen in self._files.items() if _stamp(file) != seen]:
            _forget_bytecode(written)
            return True
        if all(_stamp(folder) == seen for folder, seen in self._folders.items()):
            if self._events is not None:
                self._events = events  # of another folder, or of a file that is no source
            return False
        before = self._files
        self.look()  # a folder's stamp changes with anything in it: was it a source?
        return self._files != before


class _Notifications:
    """Counts the times at which inotify reported changes of watched folders."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._count = 0
        self._libc = ctypes.CDLL(None)
        self._file = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC) if sys.platform == "linux" else -1

    def watch(self, folder: str) -> bool:
        """Count changes of a folder, and of files in it, from now on; False where not all of them are reported."""
        path, status = os.fsencode(folder), ctypes.create_string_buffer(512)
        if self._file < 0 or self._libc.statfs(path, status) != 0:
            return False
        kind = ctypes.c_ulong.from_buffer(status).value & 0xFFFFFFFF
        return kind in _LOCAL and self._libc.inotify_add_watch(self._file, path, _CHANGES) >= 0

    def count(self) -> int:
        """A number that is another one after a change."""
        if self._file >= 0:
            with self._reading, suppress(BlockingIOError):
                while os.read(self._file, _EVENTS_BYTES):
                    self._count += 1
        return self._count


_notifications = _Notifications()


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)  # noqa: PTH116  # a Path for each would double the cost of what runs at each invocation
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _forget_bytecode(files: Sequence[str]) -> None:
    """Python takes bytecode for current when a source's size and the second of its last write are the same."""
    for file in files:
        if file.endswith(".py"):
            Path(cache_from_source(file)).unlink(missing_ok=True)


def _folders(root: str) -> Iterator[str]:
    yield root
    for entry in _entries(root):
        if entry.is_dir():
            yield from _folders(entry.path)


def _files(folder: str) -> Iterator[str]:
    return (entry.path for entry in _entries(folder) if entry.is_file())


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if not entry.name.startswith(_MADE_BY_TOOLS)]
    except FileNotFoundError:
        return []  # it went while we looked
    if any(entry.name.endswith(".dist-info") for entry in entries):
        return [entry for entry in entries if entry.is_symlink()]
    return entries
