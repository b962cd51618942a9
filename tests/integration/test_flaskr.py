"""The tests of Flask's tutorial application pass when its requests go through Decant.

The application and its tests are part of Flask's source distribution, pinned with its hash in `requirements/dev.txt`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flaskr_client import MODES
from tests.loading import ROOT

TESTS = 24


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
