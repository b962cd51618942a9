"""The same programs return under Decant what they have returned under Celery, as recorded by `make oracle`."""

import importlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from decant import runtime
from decant.runtime import Runtime
from decant_cloud.local.postgres import Postgres
from decant_cloud.pytest_plugin import TEMPLATE_DATABASE, administer
from tests.celery_worker import restored
from tests.oracle import alias
from tests.oracle.differences import DIFFERENCES
from tests.oracle.record import RECORDING
from tests.oracle.run import cases, observe

ROOT = Path(__file__).resolve().parents[2]
CELERY: dict[str, Any] = json.loads(RECORDING.read_text())
AT_ONCE = 12


@pytest.fixture(scope="module")
def observed(migrated: Postgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What all cases return, run side by side with one worker."""
    administer(migrated, f"CREATE DATABASE oracle TEMPLATE {TEMPLATE_DATABASE}")
    with pytest.MonkeyPatch.context() as patch, restored():
        patch.setenv("DATABASE_URL", migrated.url("oracle"))
        patch.setenv("ORACLE_FOLDER", str(tmp_path_factory.mktemp("oracle")))
        patch.setenv("ORACLE_REDIS", "redis://unused")
        patch.setenv("LOG_LEVEL", "ERROR")
        patch.setenv("TASK_HEARTBEAT_S", "0.2")
        patch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'shared'}:{ROOT / 'infra'}")
        patch.setattr(sys, "meta_path", list(sys.meta_path))
        alias.install()
        _forget_other_databases()
        worker = subprocess.Popen([sys.executable, "-m", "tests.oracle.decant_worker"], cwd=ROOT)
        try:
            return _observe_all()
        finally:
            worker.terminate()
            worker.wait(30)
            _forget_other_databases()


def _forget_other_databases() -> None:
    """Close the connections of the process's runtime, which threads of the cases use, and read its settings again."""
    process = runtime.current()
    process.shut_down()
    process.reload()


def _observe_all() -> dict[str, Any]:
    with Runtime(os.environ).active() as own:
        found = cases()
        importlib.import_module("tests.oracle.program.calls").add.delay(1, 1).get(timeout=240)  # the worker has started
        with ThreadPoolExecutor(AT_ONCE, initializer=own.active().__enter__) as threads:
            observed = dict(zip(found, threads.map(observe, found.values()), strict=True))
        own.shut_down()
    return observed


@pytest.mark.parametrize("name", sorted(CELERY))
def test_oracle(name: str, observed: dict[str, Any]) -> None:
    """A case returns what it returned under Celery, or the difference is intended."""
    if name in DIFFERENCES:
        assert observed[name] != CELERY[name], "the difference is gone; remove it from the list"
        assert observed[name] == DIFFERENCES[name].decant
    else:
        assert observed[name] == CELERY[name]


def test_oracle_recording_has_all_cases(observed: dict[str, Any]) -> None:
    """A new case was recorded under Celery."""
    assert observed.keys() == CELERY.keys(), "run `make oracle`"
