"""The API against its OpenAPI document: requests that schemathesis makes from the document, on the local cloud."""

import os
import re
import subprocess
import sys
from pathlib import Path

from decant_cloud.local import tokens
from tests.e2e.running import RunningCloud
from tests.loading import ROOT


def test_api_matches_its_document(local_cloud: RunningCloud, tmp_path: Path) -> None:
    """Examples, boundary values, fuzzing and links find no undocumented response, no schema violation and no 5xx."""
    token = tokens.mint(local_cloud.folder.parent, " ".join(tokens.required_scopes(ROOT)))
    program = Path(sys.executable).parent / "st"
    config = ["--no-color", "--config-file", str(ROOT / "tests/e2e/schemathesis.toml")]
    target = [str(ROOT / "functions/api_docs/openapi.json"), "--url", local_cloud.api_url, "--workers", "2"]

    finished = subprocess.run(
        [program, *config, "run", *target, "--header", f"Authorization: Bearer {token}"],
        cwd=tmp_path,  # it writes failed requests into the working directory, and sends them first the next time
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert re.search(r"API Links: +[1-9]\d* covered", finished.stdout), finished.stdout
