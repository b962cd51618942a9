"""A new bundle of Flask's tutorial application runs, and responds as under Flask's own server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from decant_cloud.local.postgres import free_port
from tests.parity import facts, flask_server, flaskr, run_flask, serving

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def expected(tutorial: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Responses under Flask's own server."""
    folder = shutil.copytree(tutorial, tmp_path_factory.mktemp("own") / "tutorial")
    run_flask("flaskr", folder, "init-db")
    with flask_server("flaskr", folder, {}) as client:
        return [facts(each) for each in flaskr(client)]


@pytest.fixture(scope="module")
def bundle(poured_tutorial: Path) -> Iterator[Path]:
    """The bundle, whose cloud stops after the tests."""
    make(poured_tutorial, "install")
    yield poured_tutorial
    make(poured_tutorial, "down")


def make(bundle: Path, *arguments: str) -> str:
    """Run a target of the bundle's Makefile, which must succeed."""
    plain = {name: value for name, value in os.environ.items() if name not in {"DECANT_BUNDLE", "PYTHONPATH"}}
    done = subprocess.run(["make", *arguments], cwd=bundle, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_application_responds_the_same_under_make_up(bundle: Path, expected: list[dict[str, Any]]) -> None:
    """A session through API Gateway and Lambda of the local cloud."""
    port = free_port()
    make(bundle, "up", "DETACH=1", f"PORT={port}")
    url = f"http://127.0.0.1:{port}/_aws/execute-api/myshop-api/local"

    with httpx.Client(base_url=url, timeout=120) as client:
        received = [facts(each) for each in flaskr(client)]

    assert received == expected
    make(bundle, "down")


def test_application_responds_the_same_under_make_serve(bundle: Path, expected: list[dict[str, Any]]) -> None:
    """A session with the same functions as one ASGI application."""
    with serving([str(bundle / ".venv/bin/decant"), "serve", "--port", "PORT"], bundle, {}) as client:
        received = [facts(each) for each in flaskr(client)]

    assert received == expected


def test_own_tests_pass_with_the_code_in_the_bundle(poured_tutorial: Path, tutorial: Path, tmp_path: Path) -> None:
    """The application's tests import it from the layer's folder, in which nothing was changed."""
    shutil.copytree(tutorial / "tests", tmp_path / "tests")
    code = poured_tutorial / "shared/flaskr"

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(code)}, capture_output=True, text=True, check=False
    )

    assert "24 passed" in run.stdout, run.stdout
    for path in (code / "flaskr").rglob("*.*"):
        if path.suffix != ".pyc":
            assert path.read_bytes() == (tutorial / "flaskr" / path.relative_to(code / "flaskr")).read_bytes()
