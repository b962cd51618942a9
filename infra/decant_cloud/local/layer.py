"""The layers as the local cloud mounts them: third-party packages installed once, our own packages linked in."""

import compileall
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from decant_cloud.layer.wrapper import write_wrapper
from decant_cloud.paths import root

__all__ = ["LayerError", "build_local"]

SHARED = root() / "shared"


class LayerError(Exception):
    """A layer could not be built; the message contains the reason."""


def build_local(folder: Path) -> Mapping[str, Path]:
    """Bring every layer of `shared/layers.toml` up to its requirements; what is up to date is left alone.

    `decant` and `domain` are links into `shared/`, so that an edit there is live.

    Args:
        folder: Where the layers go, each into a folder whose `python/` is what Lambda puts on the path.
    Returns:
        Each layer's folder, absolute, by its name in the template.
    Raises:
        LayerError: a package could not be installed; the layer is as it was.
    """
    layers = tomllib.loads((SHARED / "layers.toml").read_text())
    folders = {name: folder.resolve() / name for name in layers}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may build the same layers
        for name, layer in layers.items():
            _bring_up(folders[name], SHARED / layer["requirements"])
            for package in layer["packages"]:
                link = folders[name] / "python" / package
                if not link.is_symlink() or link.readlink() != SHARED / package:
                    link.unlink(missing_ok=True)
                    link.symlink_to(SHARED / package, target_is_directory=True)
                compileall.compile_dir(SHARED / package, quiet=1)  # functions cannot: to them it is read-only
            write_wrapper(folders[name])
    return folders


def _bring_up(folder: Path, requirements: Path) -> None:
    """Make one layer anew, beside the old one, when its requirements are others."""
    stamp = folder / "built-from.sha256"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        built = Path(scratch) / "layer"
        _install(built / "python", requirements)
        (built / stamp.name).write_text(wanted)
        shutil.rmtree(folder, ignore_errors=True)
        built.rename(folder)


def _install(target: Path, requirements: Path) -> None:
    """Install the pinned packages with their bytecode, which Lambda could not write."""
    uv = shutil.which("uv", path=f"{root() / '.decant/uv/bin'}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise LayerError("uv is missing; run `make install`")
    command = [uv, "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode", "--no-deps"]
    command += ["--python", str(root() / ".venv/bin/python"), "--target", str(target), "-r", str(requirements)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise LayerError(f"The layer's packages could not be installed:\n{finished.stderr.strip()}")
