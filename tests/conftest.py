"""Fixtures that every kind of test shares, beside those of the plug-in."""

import functools
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from httpx._transports import default as httpx_transport
from hypothesis import settings

from decant import observability
from decant.tasks.registry import periodic, registry
from decant.testing import memory
from decant_cloud import paths
from tests.loading import ROOT
from tests.parity import pour
from tests.queues import SqsQueue, make_queue, sqs_server
from tests.worlds import MemoryWorld, PostgresWorld, SqsWorld, World

pytest_plugins = ["decant_cloud.pytest_plugin"]

# No deadline: a busy machine is slow. `make test-all` generates more examples.
settings.register_profile("decant", deadline=None, max_examples=int(os.environ.get("TEST_EXAMPLES", "30")))
settings.load_profile("decant")

# Each new client of httpx reads the certificate authorities, which takes 50 ms; all tests use loopback.
vars(httpx_transport)["create_ssl_context"] = functools.cache(httpx.create_ssl_context)

SOURCES = ROOT / ".decant/sources"

PROGRAMS = ("chromium", "npm", "pgbouncer")
"""Programs that some tests need: the name of the marker, of the command and of the Debian package."""


def pytest_configure() -> None:
    """Let SIGINT interrupt the tests and their processes: a shell ignores it for commands in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is not installed; where CI sets REQUIRE_PROGRAMS, fail it."""
    for name in PROGRAMS:
        if item.get_closest_marker(name) is not None and shutil.which(name) is None:
            (pytest.fail if os.environ.get("REQUIRE_PROGRAMS") else pytest.skip)(f"{name} is not installed")


@pytest.fixture
def use_bundle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Make a folder the bundle that commands work on until the end of the test."""

    def use(folder: Path) -> None:
        monkeypatch.setenv("DECANT_BUNDLE", str(folder))
        paths.root.cache_clear()

    yield use
    paths.root.cache_clear()


@pytest.fixture
def new_tasks() -> Iterator[None]:
    """Remove the tasks that the test defines after it."""
    before, repeated = dict(registry), dict(periodic)
    yield
    registry.clear()
    registry.update(before)
    periodic.clear()
    periodic.update(repeated)


@pytest.fixture
def new_celery_apps() -> Iterator[None]:
    """Remove the apps and tasks of `decant.celery` that the test defines after it."""
    from tests.celery_worker import restored  # only these tests need `decant.celery`

    with restored():
        yield


@pytest.fixture
def kept_logs() -> Iterator[None]:
    """Configure logging before the test, so that `caplog` receives lines of level INFO; the level is restored."""
    root = logging.getLogger()
    level = root.level
    observability.configure()
    yield
    root.setLevel(level)


@pytest.fixture(scope="session")
def sqs_address() -> Iterator[str]:
    """Address of a server of SQS's API."""
    with sqs_server() as address:
        yield address


@pytest.fixture
def queue(sqs_address: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SqsQueue:
    """A queue of this test's own, which the settings call `default`."""
    return make_queue(sqs_address, f"q{abs(hash(request.node.nodeid)):x}", monkeypatch)


@pytest.fixture(params=["memory", "postgres", "sqs"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Each world in which tasks are enqueued and run, in turn."""
    if request.param == "memory":
        with memory() as broker:
            yield MemoryWorld(broker)
        return
    request.getfixturevalue("database_url")
    if request.param == "postgres":
        yield PostgresWorld()
        return
    # Announced again as soon as it is due: a test moves the table's clock, and cannot move the queue's.
    monkeypatch.setenv("TASK_REPUBLISH_AFTER_S", "0.001")
    yield SqsWorld(request.getfixturevalue("queue"))


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tutorial application and its tests; Flask's source distribution is downloaded once."""
    pins = (ROOT / "requirements/dev.txt").read_text()
    requirement = re.search(r"^flask==(\S+) (?:\\\n +--hash=\S+ ?)+", pins, re.MULTILINE)
    assert requirement is not None
    archive = SOURCES / f"flask-{requirement[1]}.tar.gz"
    if not archive.exists():
        _download(requirement[0], tmp_path_factory.mktemp("download"))
    folder = tmp_path_factory.mktemp("flask")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"flask-{requirement[1]}/examples/tutorial"


@pytest.fixture(scope="session")
def poured_tutorial(tutorial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new bundle, with both wheels, of Flask's tutorial application."""
    from tests.sample.bundle import build_wheels  # Alembic and validators of OpenAPI, which few tests need

    scratch = tmp_path_factory.mktemp("poured")
    scratch.parent.chmod(0o755)  # root's PostgreSQL runs as another user
    scratch.chmod(0o755)
    build_wheels(ROOT, scratch)
    made = pour(ROOT, tutorial, "--into", str(scratch / "myshop"), "--wheels", str(scratch))
    assert made.returncode == 0, made.stdout + made.stderr
    return scratch / "myshop"


def _download(requirement: str, folder: Path) -> None:
    (folder / "requirements.txt").write_text(requirement)
    subprocess.run([sys.executable, "-m", "venv", folder / "pip"], check=True, timeout=100)
    options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", str(folder / "requirements.txt")]
    pip = [str(folder / "pip/bin/python"), "-m", "pip", "download", "--quiet", "--dest", str(SOURCES)]
    subprocess.run([*pip, *options], check=True, timeout=100)
