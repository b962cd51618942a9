"""Functions that call external services from a network without a route to the internet."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from decant_cloud.checks import outbound
from tests.sample.bundle import sample_bundle
from tests.stages import prod


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the functions and of the app's own package."""
    shutil.copytree(sample_bundle() / "functions", tmp_path / "functions")
    shutil.copytree(sample_bundle() / "shared/domain", tmp_path / "shared/domain")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "client", "function"),
    [
        pytest.param("shared/domain/tasks.py", "decant.http", "TaskWorker", id="a task"),
        pytest.param("functions/slow_worker/app.py", "httpx", "SlowWorker", id="a worker's own code"),
        pytest.param("functions/users_get/app.py", "requests", "UsersGet", id="a route"),
    ],
)
def test_outbound_names_functions_without_a_route_to_the_internet(
    bundle: Path, file: str, client: str, function: str
) -> None:
    """The call would wait for its timeout at AWS, and work on every developer's machine."""
    path = bundle / file
    path.write_text(f"{path.read_text()}import {client}\n")

    lines = list(outbound.breaches(replace(prod(Nat="none"), folder=bundle)))

    assert any(line.startswith(f"{function}: it imports {client} ") for line in lines)


def test_outbound_follows_imports_of_the_app(bundle: Path) -> None:
    """A task in a module of its own, which imports its client at the first use, counts too."""
    (bundle / "shared/domain/mail.py").write_text(
        "def send():\n    from decant.http import client\n    return client\n"
    )
    tasks = bundle / "shared/domain/tasks.py"
    tasks.write_text(tasks.read_text() + "from domain import mail\n")

    client = outbound.imported(("decant.http",), bundle / "functions/task_worker", bundle / "shared")

    assert client == "decant.http (domain/mail.py)"


def test_outbound_accepts_functions_with_a_route(bundle: Path) -> None:
    """With NAT, the function that calls external services is in the subnets that lead out."""
    assert list(outbound.breaches(replace(prod(Nat="one"), folder=bundle))) == []
    assert list(outbound.breaches(replace(prod(Nat="none"), folder=bundle))) == []
