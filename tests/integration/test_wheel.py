"""The wheel of the library, installed in an environment of its own."""

import subprocess
import sys
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

from decant_cloud.install import find_uv
from tests.loading import ROOT

SERVE = """
import json, sys
from flask import Flask
from decant.web import lambda_handler

app = Flask("installed")

@app.route("/<path:path>", methods=["GET", "POST"])
async def view(path):
    return {"decant": sys.modules["decant"].__file__}

class Context:
    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

    def get_remaining_time_in_millis(self):
        return 10_000

print(json.dumps(lambda_handler(app)(json.load(sys.stdin), Context())))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as `make wheel` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and the layer's locked packages."""
    folder = tmp_path_factory.mktemp("environment")
    python = folder / "bin/python"
    pip = [find_uv(), "pip"]
    for command in (
        [find_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [*pip, "sync", "--quiet", "--require-hashes", "--python", str(python), str(ROOT / "shared/requirements.txt")],
        [*pip, "install", "--quiet", "--no-deps", "--python", str(python), str(wheel)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return python


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The wheel's metadata."""
    with ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def test_wheel_serves_a_rest_event(python: Path, tmp_path: Path) -> None:
    """Outside of the repository, the installed library serves an event of API Gateway."""
    event = (ROOT / "tests/aws_events/rest.json").read_text()

    finished = subprocess.run(
        [str(python), "-I", "-c", SERVE], input=event, cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert '"statusCode": 200' in finished.stdout
    assert f"{python.parents[1]}/lib" in finished.stdout


def test_wheel_declares_what_it_imports(python: Path) -> None:
    """The locked packages of the layer satisfy the dependencies that the wheel declares."""
    checked = subprocess.run(
        [find_uv(), "pip", "check", "--python", str(python)], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr


def test_wheel_takes_its_dependencies_from_the_layers(metadata: Message) -> None:
    """Each package of the layers is a dependency; those of the layer for tokens belong to the extra `auth`."""
    required = metadata.get_all("Requires-Dist") or []

    assert metadata["Name"] == "decant-flask"
    assert metadata.get_all("Provides-Extra") == ["auth"]
    assert "flask" in required
    assert "pyjwt[crypto]; extra == 'auth'" in required


def test_wheel_holds_types_and_migrations(wheel: Path) -> None:
    """The wheel says that it is typed, and brings the library's migrations and none of the app's packages."""
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {"decant/py.typed", "decant/db/migrations/env.py"} <= names
    assert any(each.startswith("decant/db/migrations/versions/") for each in names)
    assert {each.split("/")[0].split("-")[0] for each in names} == {"decant", "decant_flask"}
