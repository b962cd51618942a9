"""Pytest fixtures for the tests of a bundle: its functions, a migrated database, tasks, tokens and the local cloud.

The wheel `decant-cloud` registers them. An `async def` test runs on the event loop that the functions use.
"""

import functools
import inspect
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from decant import config, loop, runtime
from decant.runtime import Runtime
from decant.testing import Broker, memory
from decant_cloud import invocation
from decant_cloud.bundle import bundle
from decant_cloud.local.postgres import Postgres, free_port, temporary_postgres

if TYPE_CHECKING:
    from localstack_client.session import Session

    from decant_cloud.local.state import Running

TEMPLATE_DATABASE = "migrated"
FAST_POSTGRES = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings of a server whose data is deleted with the test session."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test on the library's event loop, so that it shares engine and client with the functions."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}  # noqa: SLF001
    loop.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(autouse=True)
def own_runtime() -> Iterator[None]:
    """A runtime for each test, which reads its settings from the test's environment and closes its clients.

    Threads have the runtime of the process. Its settings are read again in the next test.
    """
    with Runtime(os.environ).active() as own:
        yield
        own.shut_down()
    config.process_environment.reload()


@pytest.fixture
def call() -> invocation.Call:
    """Invoke a function's handler: `call("hello", event("hello")).json()`."""
    return invocation.call


@pytest.fixture
def event() -> invocation.ReadEvent:
    """Read an event from `events/`: `event("users_get", path="/users/1", headers={"authorization": "Bearer …"})`."""
    return invocation.event


@pytest.fixture
def token(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> invocation.Token:
    """Sign a token that the functions accept, with the scopes that a text lists: `token("bookings:read")`.

    `token("bookings:read", seconds=-60)` has expired.
    """
    from decant_cloud.local import tokens  # noqa: PLC0415  # cryptography, which few tests need

    state = tmp_path_factory.getbasetemp() / "tokens"
    monkeypatch.setenv("JWT_ISSUER", tokens.ISSUER)
    monkeypatch.setenv("JWT_AUDIENCE", bundle().name)
    monkeypatch.setenv("JWT_PUBLIC_PEM", tokens.public_key(state))
    runtime.current().reload()
    return functools.partial(tokens.mint, state)


@pytest.fixture
def tasks() -> Iterator[Broker]:
    """Keep enqueued tasks in memory; `await tasks.run()` runs those that are due."""
    with memory() as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this test session."""
    with temporary_postgres(FAST_POSTGRES) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Postgres:
    """The server with a database to which the function `migrate` was applied, as the template of others."""
    administer(postgres, f"CREATE DATABASE {TEMPLATE_DATABASE}")
    with Runtime({"DATABASE_URL": postgres.url(TEMPLATE_DATABASE)}).active() as own:
        invocation.load_function("migrate").handler({}, None)
        own.shut_down()
    return postgres


@pytest.fixture(scope="session")
def emptied_database(migrated: Postgres) -> "EmptiedDatabase":
    """The migrated database that the tests of the session use one after another."""
    return EmptiedDatabase(migrated, TEMPLATE_DATABASE)


@pytest.fixture
def database_url(emptied_database: "EmptiedDatabase", monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """SQLAlchemy address of a migrated database without rows; DATABASE_URL is set to it.

    A table that the test creates is dropped before the next test. Other changes of the schema remain.
    """
    emptied_database.clear()
    monkeypatch.setenv("DATABASE_URL", emptied_database.url)
    yield emptied_database.url
    loop.run(loop.close())


@pytest.fixture(scope="session")
def local_cloud(running_cloud: "Running") -> "Session":
    """A localstack-client session: `local_cloud.client("sqs")` is boto3's client of the local cloud.

    The local cloud is the one that `make up` runs, else one that is started for the test session.
    """
    from localstack_client.session import Session  # noqa: PLC0415  # boto3, which few tests need

    return Session(localstack_host=running_cloud.url.removeprefix("http://"))


@pytest.fixture(scope="session")
def api_url(running_cloud: "Running") -> str:
    """Address of the API in the local cloud, without a slash at its end."""
    from decant_cloud.local.deploy import Cloud, describe  # noqa: PLC0415  # boto3, which few tests need

    return describe(Cloud(running_cloud.url), running_cloud.stack).api_url


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of the stage that `decant smoke` tests; in other test sessions, of the local cloud's API."""
    url = os.environ.get("SMOKE_URL") or request.getfixturevalue("api_url")
    with httpx.Client(base_url=url, headers=json.loads(os.environ.get("SMOKE_HEADERS", "{}")), timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def running_cloud() -> Iterator["Running"]:
    """Addresses of the local cloud."""
    from decant_cloud.local.cloud import LocalCloud, Options  # noqa: PLC0415  # boto3, which few tests need
    from decant_cloud.local.state import Running, running  # noqa: PLC0415
    from decant_cloud.paths import state  # noqa: PLC0415

    if (other := running(state())) is not None and other.command == "up":
        yield other
        return
    with tempfile.TemporaryDirectory(prefix="decant-cloud-") as folder:
        Path(folder).chmod(0o755)  # root's PostgreSQL runs as another user
        options = Options(state=Path(folder), port=free_port(), postgres_settings=FAST_POSTGRES)
        with LocalCloud(options) as cloud:
            cloud.start()
            yield Running(
                pid=os.getpid(),
                command="test",
                since=time.time(),
                url=cloud.emulator.url,
                database_url=cloud.database.url(),
                stack=options.stack,
            )


def administer(server: Postgres, statement: str) -> None:
    """Execute a statement outside of a transaction, as the server's superuser."""
    with _connect(server.url()) as connection:
        connection.execute(statement)


_TABLES = """
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> 'alembic_version'
"""

_RESTART_SEQUENCES = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences
    WHERE last_value IS NOT NULL
"""

_TRUNCATED_FROM_BYTES = 65_536
"""Size of a table's file from which it is truncated, because deleted rows stay in the file."""

_DISCONNECT = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


class EmptiedDatabase:
    """A database that tests use one after another.

    DELETE takes a millisecond; TRUNCATE of the library's tables takes 60, because it makes a new file for each table
    and index, and CREATE DATABASE takes more than that.

    Args:
        server: Server on which it is created.
        template: Name of the database that is copied.

    Attributes:
        url: SQLAlchemy address.
    """

    def __init__(self, server: Postgres, template: str) -> None:
        administer(server, f"CREATE DATABASE {template}_test TEMPLATE {template}")
        self.url = server.url(f"{template}_test")
        with _connect(self.url) as connection:
            self._tables = set(connection.execute(_TABLES).fetchall())

    def clear(self) -> None:
        """Close all other connections, delete all rows, and drop the tables that a test has created."""
        with _connect(self.url) as connection:
            connection.execute(_DISCONNECT)
            tables = set(connection.execute(_TABLES).fetchall())
            for table in tables - self._tables:
                connection.execute(SQL("DROP TABLE {}").format(Identifier(*table)))
            connection.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys
            for name, size in self._filled(connection):
                statement = SQL("DELETE FROM {}" if size < _TRUNCATED_FROM_BYTES else "TRUNCATE {} CASCADE")
                connection.execute(statement.format(name))
            connection.execute(_RESTART_SEQUENCES)

    def _filled(self, connection: psycopg.Connection) -> list[tuple[Identifier, int]]:
        """The tables with rows, and the size of each in bytes."""
        names = [Identifier(*table) for table in self._tables]
        select = SQL("SELECT {}, pg_relation_size({}) WHERE EXISTS (SELECT FROM {})")
        selects = [select.format(at, Literal(name.as_string(connection)), name) for at, name in enumerate(names)]
        if not selects:
            return []
        found = connection.execute(SQL(" UNION ALL ").join(selects)).fetchall()
        return [(names[at], size) for at, size in found]


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+asyncpg", ""), autocommit=True)
