"""Workflows whose workers are killed."""

import os
import subprocess
import sys

import pytest

from tests.loading import PYTHONPATH, ROOT


def run_kills(module: str, *arguments: str) -> str:
    """Kill workers at points of the workflow of a module; returns the report."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    finished = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False
    )
    return finished.stdout + finished.stderr[-3000:]


@pytest.mark.usefixtures("database_url")
def test_run_survives_kills() -> None:
    """The result is right, effects in transactions happen once, and other effects twice only when interrupted."""
    report = run_kills("tests.flow_kills", "1", "7")

    assert ", 0 violations" in report, report


@pytest.mark.long
@pytest.mark.timeout(1600)
@pytest.mark.usefixtures("database_url")
def test_run_survives_a_kill_at_every_point() -> None:
    """As above, at every point."""
    report = run_kills("tests.flow_kills")

    assert ", 0 violations" in report, report


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("database_url")
def test_agent_that_is_killed_pays_for_no_model_call_twice() -> None:
    """A model call or tool is repeated only when the worker is killed before its result is recorded."""
    report = run_kills("tests.agent")

    assert ", 0 violations" in report, report


@pytest.mark.timeout(1600)
@pytest.mark.parametrize("runs", [5, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.usefixtures("database_url")
def test_signals_that_race_with_kills_are_received_once_and_in_order(
    runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of 20 signals of each run, among them 10,000 of 500 runs, is lost or received twice."""
    monkeypatch.setenv("LOG_LEVEL", "ERROR")

    report = run_kills("tests.flow_signals", str(runs), "20")

    assert ": 0 runs are wrong, 0 signals were not received" in report, report
