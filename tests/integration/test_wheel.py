"""The two wheels, installed in environments of their own."""

import shutil
import subprocess
import sys
import time
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

from decant import loop
from decant_cloud.install import find_uv
from tests.celery_worker import environment, worker
from tests.loading import ROOT
from tests.worlds import execute

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


USE_THE_PLUGIN = """
from decant.tasks import task

@task
async def greet(name: str) -> str:
    return f"Hello, {name}"

async def test_tasks(tasks):
    job = await greet.delay("Ada")
    await tasks.run()
    assert await job.result == "Hello, Ada"

def test_token(token):
    assert token("tasks:admin").count(".") == 2
"""


def build(project: Path, folder: Path) -> Path:
    """Build the wheel of a project, as `make wheel` does."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def make_environment(folder: Path, lock: Path, *wheels: Path) -> Path:
    """Make an environment with the packages of a lock file and with wheels; returns its interpreter."""
    python = folder / "bin/python"
    pip = [find_uv(), "pip"]
    for command in (
        [find_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [*pip, "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock)],
        [*pip, "install", "--quiet", "--no-deps", "--python", str(python), *map(str, wheels)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's wheel."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def cloud_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the commands."""
    return build(ROOT / "infra", tmp_path_factory.mktemp("cloud-wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the library's wheel and the layer's locked packages."""
    return make_environment(tmp_path_factory.mktemp("environment"), ROOT / "shared/requirements.txt", wheel)


@pytest.fixture(scope="module")
def development(wheel: Path, cloud_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a bundle's development environment, which holds both wheels."""
    folder = tmp_path_factory.mktemp("development")
    return make_environment(folder, ROOT / "requirements/bundle.txt", wheel, cloud_wheel)


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


def test_image_runs_a_worker(python: Path, tmp_path: Path, database_url: str) -> None:
    """What the Dockerfile copies, installs and starts is a worker that runs tasks."""
    steps = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines() if line and line[0] != "#"]
    copied = [words[1:] for words in steps if words[0] == "COPY"]
    for source, target in copied:
        if source != "shared/domain":
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            (tmp_path / "shared").mkdir(exist_ok=True)
            copy(ROOT / source, tmp_path / target)
    variables = dict(word.split("=") for words in steps if words[0] == "ENV" for word in words[1:])
    (tmp_path / "shared/jobs.py").write_text("from decant.tasks import task\n\n\n@task\nasync def job(): ...\n")

    with worker(
        tmp_path, python=str(python), **variables | {"TASK_MODULES": "jobs", "DATABASE_URL": database_url}
    ) as process:
        enqueue = [str(python), "-c", "from decant import loop; import jobs; loop.run(jobs.job.delay())"]
        subprocess.run(enqueue, cwd=tmp_path, check=True, env=environment(**variables, DATABASE_URL=database_url))
        while not loop.run(execute("SELECT id FROM decant.task WHERE state = 'SUCCESS'")):
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) == 0

    assert ["shared/requirements.txt", "shared/"] in copied
    assert " ".join(steps[-1]) == 'CMD ["python", "-m", "decant", "worker"]'


@pytest.mark.parametrize("environment", ["python", "development"])
def test_wheels_declare_their_dependencies(environment: str, request: pytest.FixtureRequest) -> None:
    """The locked packages of an environment satisfy the dependencies that its wheels declare."""
    python = request.getfixturevalue(environment)

    checked = subprocess.run(
        [find_uv(), "pip", "check", "--python", str(python)], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr


def test_wheels_have_one_version(wheel: Path, cloud_wheel: Path) -> None:
    """The two wheels are released together."""
    assert wheel.name.split("-")[1] == cloud_wheel.name.split("-")[1]


def test_cloud_wheel_provides_its_fixtures(development: Path, tmp_path: Path) -> None:
    """Outside of the repository, pytest finds the plug-in by its entry point."""
    (tmp_path / "test_plugin.py").write_text(USE_THE_PLUGIN)
    (tmp_path / "template.yaml").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.decant]\nname = 'shop'\n")

    finished = subprocess.run(
        [str(development), "-m", "pytest", "-q", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "2 passed" in finished.stdout, finished.stdout + finished.stderr


def test_cloud_wheel_holds_its_locks(cloud_wheel: Path) -> None:
    """The wheel holds the locks of the environments that its commands make, and the emulator's registration."""
    with ZipFile(cloud_wheel) as archive:
        names = set(archive.namelist())

    assert {f"decant_cloud/locks/{name}.txt" for name in ("policy", "sam", "uv")} <= names
    assert {f"decant_cloud/local/{name}.txt" for name in ("lambda-image", "localemu", "localstack")} <= names
    assert any(name.endswith(".dist-info/entry_points.txt") and "emulator_patches" in name for name in names)


def test_wheel_takes_its_dependencies_from_the_layers(metadata: Message) -> None:
    """Each package of the layers is a dependency; those of the layer for tokens belong to the extra `auth`."""
    required = metadata.get_all("Requires-Dist") or []

    assert metadata["Name"] == "decant-flask"
    assert metadata.get_all("Provides-Extra") == ["auth"]
    assert "flask" in required
    assert "pyjwt[crypto]; extra == 'auth'" in required


def test_wheel_holds_types_and_migrations(wheel: Path) -> None:
    """The wheel is marked as typed, and contains the library's migrations and none of the app's packages."""
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {"decant/py.typed", "decant/db/migrations/env.py"} <= names
    assert any(each.startswith("decant/db/migrations/versions/") for each in names)
    assert {each.split("/")[0].split("-")[0] for each in names} == {"decant", "decant_flask"}
