"""Read-only code and layers and a private /tmp for each environment, by a mount namespace.

Only Linux has mount namespaces, and not every machine allows them. Without a namespace, code is writable and TMPDIR
names a folder for temporary files. /tmp is not private either when the bundle itself is below /tmp and would be hidden.
"""

import functools
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from decant_cloud.paths import root

__all__ = ["TMP", "is_possible", "isolated"]

TMP = Path("/tmp")  # noqa: S108  # the path that functions use

_SCRIPT = """
task=$1 temporary=$2 place=$3
shift 3
[ "$temporary" = "$place" ] || mount --bind "$temporary" "$place" || exit
while [ "$1" != -- ]; do mount -o rbind,ro,nosuid,nodev "$1" "$1" && shift || exit; done
cd "$task" && shift && exec "$@"
"""
"""Mounts the temporary folder at its place, makes folders up to `--` read-only, and runs the command in the task's.

`rbind`: a user namespace may not separate a folder from mounts below it (volumes, devcontainers); these mounts keep
their own mode. `nosuid,nodev`: it may not remove these flags from a mount either. `cd` enters the new mounts: the
working directory from before bypasses them. Each mount is a process that takes 2 ms.
"""

_LOG = logging.getLogger("decant.isolation")


def isolated(
    command: Sequence[str], *, task: Path, needed: Sequence[Path], temporary: Path
) -> tuple[list[str], dict[str, str]]:
    """A command line that runs a command in a mount namespace, under the same process id.

    Where the mounts of these folders fail, the command line runs the command without a namespace.

    Args:
        command: Command to run.
        task: Folder to run it in.
        needed: All folders that it reads, the task included; it cannot write to them, nor anywhere in the bundle.
        temporary: Folder for temporary files.
    Returns:
        The command line, and variables that name the temporary folder when it is not /tmp.
    """
    read_only = tuple(
        dict.fromkeys(root() if each.is_relative_to(root()) else each for each in map(Path.resolve, needed))
    )
    covered = any(folder.is_relative_to(TMP.resolve()) for folder in read_only)
    if not is_possible() or _obstacle(read_only):
        return list(command), {"TMPDIR": str(temporary)}
    return (
        _command(command, task, temporary, temporary if covered else TMP, read_only),
        {"TMPDIR": str(temporary)} if covered else {},
    )


def _command(command: Sequence[str], task: Path, temporary: Path, place: Path, read_only: Sequence[Path]) -> list[str]:
    namespace = [_program("unshare"), "--map-root-user", "--mount", "/bin/sh", "-c", _SCRIPT, "sh"]
    return [*namespace, str(task), str(temporary), str(place), *map(str, read_only), "--", *command]


@functools.cache
def _obstacle(folders: tuple[Path, ...]) -> str:
    """Reason for which these folders cannot be mounted read-only, found out by doing it; empty when they can."""
    trial = _command(["/bin/true"], folders[0], folders[0], folders[0], folders)
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    reason = done.stderr.strip() or f"exit status {done.returncode}"
    _LOG.warning("Functions can write to their code: %s cannot be mounted read-only: %s", folders, reason)
    return reason


@functools.cache
def is_possible() -> bool:
    """Whether this machine allows mount namespaces, found out by making one."""
    if not _program("unshare"):
        return False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trial = _command(["/bin/sh", "-c", "! touch it 2>&-"], folder, folder, folder, [folder])
        return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@functools.cache
def _program(name: str) -> str:
    return shutil.which(name) or ""
