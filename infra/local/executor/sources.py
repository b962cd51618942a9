"""Has a source file changed since the process started?

Asked before each invocation, so it must cost little: a few dozen `stat`s, no watcher and no thread. In a folder that
an installer filled (it holds `*.dist-info`), only symbolic links are followed: what they lead to is being worked on,
and what was installed beside them does not change by hand.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["Sources"]

_MADE_BY_TOOLS = ("__pycache__", ".")
"""Names that start so are not sources: bytecode, and what editors and version control keep beside them."""


class Sources:
    """The files of some folders, as they were when last looked at."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._seen: dict[str, tuple[int, int]] = {}

    def look(self) -> None:
        """Remember the files as they are now."""
        self._seen = self._scan()

    def changed(self) -> bool:
        """Whether a file came, went or was written since `look`."""
        return self._scan() != self._seen

    def _scan(self) -> dict[str, tuple[int, int]]:
        return {path: stamp for folder in self._folders for path, stamp in _files(str(folder))}


def _files(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if not entry.name.startswith(_MADE_BY_TOOLS)]
    except FileNotFoundError:
        return  # it went while we looked
    if any(entry.name.endswith(".dist-info") for entry in entries):
        entries = [entry for entry in entries if entry.is_symlink()]
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path)
        else:
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            yield entry.path, (status.st_mtime_ns, status.st_size)
