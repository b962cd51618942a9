"""The layer as the local cloud mounts it: third-party packages installed once, our own packages linked in."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["LayerError", "build_local"]

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "shared"
OWN_PACKAGES = ("decant", "domain")


class LayerError(Exception):
    """The layer could not be built; the message says why."""


def build_local(folder: Path) -> Path:
    """Bring a layer folder up to `shared/requirements.txt`; what is up to date is left alone.

    `decant` and `domain` are links into `shared/`, so that an edit there is live.

    Args:
        folder: Where the layer goes: its `python/` is what Lambda puts on the path.
    Returns:
        The folder, absolute.
    Raises:
        LayerError: a package could not be installed; the folder is as it was.
    """
    folder = folder.resolve()
    stamp = folder / "built-from.sha256"
    wanted = hashlib.sha256((SHARED / "requirements.txt").read_bytes()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == wanted):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            built = Path(scratch) / "layer"
            _install(built / "python")
            (built / stamp.name).write_text(wanted)
            shutil.rmtree(folder, ignore_errors=True)
            built.rename(folder)
    for name in OWN_PACKAGES:
        link = folder / "python" / name
        if not link.is_symlink() or link.readlink() != SHARED / name:
            link.unlink(missing_ok=True)
            link.symlink_to(SHARED / name, target_is_directory=True)
    return folder


def _install(target: Path) -> None:
    """Install the pinned packages with their bytecode, which Lambda could not write."""
    uv = shutil.which("uv", path=f"{ROOT / '.decant/uv/bin'}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise LayerError("uv is missing; run `make install`")
    command = [uv, "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode", "--no-deps"]
    command += ["--python", str(ROOT / ".venv/bin/python"), "--target", str(target)]
    finished = subprocess.run(
        [*command, "-r", str(SHARED / "requirements.txt")], capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise LayerError(f"The layer's packages could not be installed:\n{finished.stderr.strip()}")
