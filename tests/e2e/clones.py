"""A clone of this repository in which `make up` runs, so that its files can be edited and one function debugged."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from decant_cloud.local.engine_server import chosen
from decant_cloud.local.postgres import free_port
from tests.e2e.commands import Command, command, left_of
from tests.loading import ROOT, repository_files

__all__ = ["Clone", "make_clone", "running_clone"]


@dataclass
class Clone:
    """A clone in which `make up` runs.

    Attributes:
        debug_port: Where FetchData waits for a debugger.
    """

    folder: Path
    up: Command
    debug_port: int

    @property
    def api_url(self) -> str:
        """Address of its API."""
        return str(re.findall(r"curl -s '?(http.*)/async", self.up.printed)[0])

    def edit(self, path: str, old: str, new: str) -> None:
        """Save a file with something else in place of what was there once."""
        file = self.folder / path
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new))

    def lines(self, text: str) -> int:
        """How often the terminal shows something."""
        return self.up.printed.count(text)


def make_clone(folder: Path) -> None:
    """Copy what is under version control; what is installed is used where it is."""
    for name in repository_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".decant").mkdir()
    engine = chosen().package
    (ROOT / f".decant/{engine}-cache").mkdir(exist_ok=True)
    for name in (".venv", f".decant/{engine}", ".decant/lambda-image", f".decant/{engine}-cache", ".decant/uv"):
        (folder / name).symlink_to(ROOT / name)
    if (layers := ROOT / ".decant/layers").exists():  # else `make up` builds them
        shutil.copytree(layers, folder / ".decant/layers", symlinks=True, copy_function=os.link)


@contextmanager
def running_clone() -> Iterator[Clone]:
    """Start `make up` in a clone; at the end, Ctrl-C stops all of it."""
    with tempfile.TemporaryDirectory(prefix="decant-clone-", dir=ROOT / ".decant") as name:
        folder = Path(name)
        make_clone(folder)
        debug_port = free_port()
        debugger = ["--debug", "fetch_data", "--debug-port", str(debug_port)]
        port = str(free_port())
        variables = {"FETCH_DATA_URL": "http://127.0.0.1:1/1", "AWS_ENDPOINT_URL": ""}  # as if it were not set
        up = command(folder, "up", "--port", port, *debugger, root=folder, **variables)
        try:
            up.wait_for("Logs follow")
            yield Clone(folder, up, debug_port)
            processes = up.children()
            assert (up.stop(), left_of(processes)) == (0, [])
        finally:
            up.stop()
