"""What `make up` does before LocalStack is on its way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loading import PYTHONPATH, ROOT, run_python


def test_start_imports_nothing_that_can_wait() -> None:
    """Half a second each, which LocalStack's own start has room for."""
    code = (
        "import sys, decant_cloud.local.commands.up; print({'boto3', 'httpx', 'jwt', 'sqlalchemy'} & set(sys.modules))"
    )

    assert run_python(code) == "set()\n"


@pytest.mark.parametrize("module", ["rich.", "yaml.", "decant_cloud.lambda_runtime."])
def test_interrupt_while_packages_are_imported_prints_no_traceback(tmp_path: Path, module: str) -> None:
    """Ctrl-C in the first second ends the command with the status of a signal, and prints nothing."""
    command = [sys.executable, "-X", "importtime", "-m", "decant_cloud", "up", "--state", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        signal_sent = False
        rest = []
        for line in process.stderr:
            if not signal_sent and module in line:
                process.send_signal(signal.SIGINT)
                signal_sent = True
            if not line.startswith("import time:"):
                rest.append(line)

    assert process.returncode == 128 + signal.SIGINT
    assert rest == []
