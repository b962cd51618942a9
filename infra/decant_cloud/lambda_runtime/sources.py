"""Has a source file changed since the process started?

Asked before each invocation, so it must cost little: one `stat` for each file and folder, no watcher and no thread. In
a folder that an installer filled (it holds `*.dist-info`), only symbolic links are followed: what they lead to is being
worked on, and what was installed beside them does not change by hand.
"""

import os
from collections.abc import Iterator, Sequence
from importlib.util import cache_from_source
from pathlib import Path

__all__ = ["Sources"]

_MADE_BY_TOOLS = ("__pycache__", ".")
"""Names that start so are not sources: bytecode, and what editors and version control keep beside them."""

Stamp = tuple[int, int] | None
"""When a file was written and how long it is; None when it is not there."""


class Sources:
    """The files below some folders, as they were when last looked at."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._roots = [str(folder) for folder in folders]
        self._files: dict[str, Stamp] = {}
        self._folders: dict[str, Stamp] = {}

    def look(self) -> None:
        """Remember the files as they are now."""
        self._folders = {folder: _stamp(folder) for root in self._roots for folder in _folders(root)}
        self._files = {file: _stamp(file) for folder in self._folders for file in _files(folder)}

    def changed(self) -> bool:
        """Whether a file came, went or was written since `look`."""
        if written := [file for file, seen in self._files.items() if _stamp(file) != seen]:
            _forget_bytecode(written)
            return True
        if all(_stamp(folder) == seen for folder, seen in self._folders.items()):
            return False
        before = self._files
        self.look()  # a folder's stamp changes with anything in it: was it a source?
        return self._files != before


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
