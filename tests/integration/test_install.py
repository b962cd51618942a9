"""The installation: what it does before the first start."""

import subprocess
from pathlib import Path

import pytest

from decant_cloud.install import ENVIRONMENTS, FIRST_RUNS
from tests.loading import ROOT

PROGRAMS = [(name, each) for name, programs in FIRST_RUNS.items() for each in programs]


@pytest.mark.parametrize(("name", "program"), PROGRAMS)
def test_first_run_succeeds_in_its_environment(name: str, program: str, tmp_path: Path) -> None:
    """The installation ignores errors of these programs, because the first start would do the same work."""
    (tmp_path / "template.yaml").touch()
    (tmp_path / ".decant").mkdir()
    python = ENVIRONMENTS[name][0] / "bin/python"

    path = f"import sys; sys.path.append({str(ROOT / 'infra')!r}); "
    done = subprocess.run([python, "-c", path + program], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "index" not in program or len(list(tmp_path.glob(".decant/localstack-cache/service-catalog-*"))) == 1


def test_functions_find_bytecode_of_the_lambda_image() -> None:
    """They cannot write it, so each cold start would compile the runtime client."""
    modules = ENVIRONMENTS["Lambda image"][0] / "lib/python3.13/site-packages/awslambdaric"

    assert (modules / "__pycache__/bootstrap.cpython-313.pyc").is_file()
