"""Fixtures that every kind of test shares: a PostgreSQL server, a migrated database, a clean set of settings."""

import asyncio
import inspect
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from decant import loop, observability
from decant.runtime import Runtime
from decant.tasks.registry import registry
from decant.testing import memory
from decant_cloud.local.postgres import Postgres
from tests.loading import load_function
from tests.queues import SqsQueue, make_queue, sqs_server
from tests.worlds import MemoryWorld, PostgresWorld, SqsWorld, World

TEMPLATE_DATABASE = "migrated"

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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test on Decant's own loop, so that it shares engine and client with what it tests."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    loop.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this test session's own, quick because nothing has to survive it.

    Not below pytest's folder: another session that tidies up there would end the server.
    """
    quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    with (
        tempfile.TemporaryDirectory(prefix="decant-postgres-") as folder,
        Postgres(Path(folder), settings=quick) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Postgres:
    """The server with a database that `migrate` has been run on, for others to be copied from."""
    _administer(postgres, f"CREATE DATABASE {TEMPLATE_DATABASE}")
    with Runtime({"DATABASE_URL": postgres.url(TEMPLATE_DATABASE)}).active() as own:
        load_function("migrate").handler({}, None)
        own.shut_down()
    return postgres


@pytest.fixture
def database_url(migrated: Postgres, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """SQLAlchemy address of a migrated database of this test's own; DATABASE_URL is set to it."""
    name = f"test_{abs(hash(request.node.nodeid)):x}"
    _administer(migrated, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE_DATABASE} STRATEGY FILE_COPY")
    monkeypatch.setenv("DATABASE_URL", migrated.url(name))
    yield migrated.url(name)
    loop.run(loop.close())
    _administer(migrated, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def own_runtime() -> Iterator[None]:
    """A runtime for each test, which reads its settings from the test's environment and closes its clients."""
    with Runtime(os.environ).active() as own:
        yield
        own.shut_down()


@pytest.fixture
def new_tasks() -> Iterator[None]:
    """Remove the tasks that the test defines after it."""
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


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


def _administer(server: Postgres, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        runner.run(execute())
