"""The tests of Flask's tutorial application pass when its requests go through Decant.

The application and its tests are part of Flask's source distribution, pinned with its hash in `requirements/dev.txt`.
"""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.flaskr_client import MODES
from tests.loading import ROOT

SOURCES = ROOT / ".decant/sources"
TESTS = 24


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tutorial application and its tests; Flask's source distribution is downloaded once."""
    pins = (ROOT / "requirements/dev.txt").read_text()
    requirement = re.search(r"^flask==(\S+) (?:\\\n +--hash=\S+ ?)+", pins, re.MULTILINE)
    assert requirement is not None
    archive = SOURCES / f"flask-{requirement[1]}.tar.gz"
    if not archive.exists():
        _download(requirement[0], tmp_path_factory.mktemp("download"))
    folder = tmp_path_factory.mktemp("flask")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"flask-{requirement[1]}/examples/tutorial"


def _download(requirement: str, folder: Path) -> None:
    (folder / "requirements.txt").write_text(requirement)
    subprocess.run([sys.executable, "-m", "venv", folder / "pip"], check=True, timeout=100)
    options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", str(folder / "requirements.txt")]
    pip = [str(folder / "pip/bin/python"), "-m", "pip", "download", "--quiet", "--dest", str(SOURCES)]
    subprocess.run([*pip, *options], check=True, timeout=100)


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.timeout(240)  # the first test downloads the source distribution
def test_tutorial_application_passes_its_tests(tutorial: Path, mode: str) -> None:
    """All of its tests pass without a change of the application."""
    environment = {
        **os.environ,
        "FLASKR_MODE": mode,
        "PYTHONPATH": os.pathsep.join(map(str, [tutorial, ROOT, ROOT / "shared"])),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.flaskr_client", "-p", "no:cacheprovider"]

    run = subprocess.run(
        command, cwd=tutorial, env=environment, capture_output=True, text=True, timeout=120, check=False
    )

    assert f"{TESTS} passed" in run.stdout.splitlines()[-1], run.stdout
