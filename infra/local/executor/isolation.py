"""Code and layers that cannot be written, and a /tmp of its own, for each environment: a mount namespace.

Linux alone has them, for root and others, and not every machine lets us make one; without it, code can be written to,
and temporary files have a folder of their own that only TMPDIR tells. So it is, for /tmp, where the bundle itself lies
below /tmp, and would be covered.
"""

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["TMP", "is_possible", "isolated"]

ROOT = Path(__file__).resolve().parents[3]
TMP = Path("/tmp")  # noqa: S108  # the path that functions know

_SCRIPT = """
task=$1 temporary=$2 place=$3
shift 3
[ "$temporary" = "$place" ] || mount --bind "$temporary" "$place" || exit
while [ "$1" != -- ]; do mount -o bind,ro "$1" "$1" && shift || exit; done
cd "$task" && shift && exec "$@"
"""
"""Mounts the temporary folder at its place, makes folders up to `--` read-only, and runs the rest in the task's.

Only `cd` comes into the mounts: a working directory from before leads round them. Each mount is a process, of 2 ms.
"""


def isolated(
    command: Sequence[str], *, task: Path, needed: Sequence[Path], temporary: Path
) -> tuple[list[str], dict[str, str]]:
    """A command line that runs a command in a namespace of its own, under the same process id.

    Args:
        command: What to run.
        task: The folder to run it in.
        needed: This and every other folder that it needs; it cannot write to them, nor anywhere in the bundle.
        temporary: What it has for temporary files.
    Returns:
        The command line, and variables that tell where temporary files go, if that is not /tmp.
    """
    if not is_possible():
        return list(command), {"TMPDIR": str(temporary)}
    read_only = dict.fromkeys(ROOT if each.is_relative_to(ROOT) else each for each in map(Path.resolve, needed))
    covered = any(folder.is_relative_to(TMP.resolve()) for folder in read_only)
    return (
        _command(command, task, temporary, temporary if covered else TMP, read_only),
        {"TMPDIR": str(temporary)} if covered else {},
    )


def _command(command: Sequence[str], task: Path, temporary: Path, place: Path, read_only: Iterable[Path]) -> list[str]:
    namespace = [_program("unshare"), "--map-root-user", "--mount", "/bin/sh", "-c", _SCRIPT, "sh"]
    return [*namespace, str(task), str(temporary), str(place), *map(str, read_only), "--", *command]


@functools.cache
def is_possible() -> bool:
    """Whether this machine lets us: found out by doing it."""
    if not _program("unshare"):
        return False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trial = _command(["/bin/sh", "-c", "! touch it 2>&-"], folder, folder, folder, [folder])
        return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@functools.cache
def _program(name: str) -> str:
    return shutil.which(name) or ""
