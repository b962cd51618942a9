"""Ends what a process started when that process dies, even by SIGKILL.

The owner holds one end of a pipe and names what it starts; a small process of its own holds the other. When the pipe
closes for any reason, everything still named is ended and every named folder is removed. Unlike a parent-death signal
it needs no Linux, reaches grandchildren and frozen processes, and does not fire when a mere thread ends.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

__all__ = ["Warden"]

_ENDED_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.01


class Warden:
    """The owner's side; safe to use from many threads."""

    def __init__(self) -> None:
        # Isolated and without site: it starts in 10 ms, and holds nothing that it does not need.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
        )
        self._lock = threading.Lock()

    def hold(self, pid: int, end_with: signal.Signals = signal.SIGKILL) -> None:
        """Name a process that must not outlive this one, or with a negative number a process group."""
        self._tell(f"hold {pid} {end_with.value}")

    def hold_folder(self, folder: Path) -> None:
        """Name a folder that must not outlive this process."""
        self._tell(f"remove {folder}")

    def release(self, pid: int) -> None:
        """Take back a process or a group that has ended."""
        self._tell(f"release {pid}")

    def close(self) -> None:
        """End now what is still named."""
        with self._lock:
            assert self._process.stdin is not None  # noqa: S101  # it was made with a pipe
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with self._lock:
            assert self._process.stdin is not None  # noqa: S101  # it was made with a pipe
            self._process.stdin.write(line + "\n")


def watch() -> None:
    """The warden's own side: listen until the pipe closes, then end what is still held."""
    held: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        action, _space, rest = line.rstrip("\n").partition(" ")
        if action == "hold":
            pid, number = rest.split(" ")
            held[int(pid)] = int(number)
        elif action == "release":
            held.pop(int(rest), None)
        else:
            folders.append(rest)
    for pid, number in reversed(held.items()):
        _is_signalled(pid, number)
    deadline = time.monotonic() + _ENDED_WITHIN_S
    while folders and any(_is_signalled(pid, 0) for pid in held) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)  # a server that ends writes files until it has ended
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _is_signalled(pid: int, number: int) -> bool:
    """Send a signal, or none for 0, to a process, or to a group for a negative number; False when there is none."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    watch()
