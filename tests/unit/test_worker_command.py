"""`decant worker` is `python -m decant worker`."""

import sys

import pytest

from decant import runtime
from decant_cloud.cli import run


def test_worker_forwards_its_arguments(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Options of the worker are passed on, and its exit status is returned."""
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://user@localhost/none")
    monkeypatch.setattr(sys, "path", list(sys.path))
    runtime.current().reload()

    status = run(["worker", "-A", "no_such_module", "-Q", "mail"])

    assert status == 2
    assert "error: No module named 'no_such_module'" in capsys.readouterr().err


def test_worker_help_lists_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` is that of the worker."""
    with pytest.raises(SystemExit):
        run(["worker", "--help"])

    assert "--concurrency" in capsys.readouterr().out
