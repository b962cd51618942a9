"""The `migrate` function against a real PostgreSQL."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from decant import config
from decant.errors import Conflict
from infra.local.postgres import Postgres
from tests.loading import ROOT, load_function, load_module, run_python


@pytest.fixture
def empty(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """Connection to a database that nothing was done to; DATABASE_URL is set to it."""
    with psycopg.connect(postgres.url(driver="").replace("+", ""), autocommit=True) as admin:
        admin.execute("CREATE DATABASE empty")
        monkeypatch.setenv("DATABASE_URL", postgres.url("empty"))
        config.load.cache_clear()
        with psycopg.connect(postgres.url("empty", driver="").replace("+", ""), autocommit=True) as connection:
            yield connection
        admin.execute("DROP DATABASE empty WITH (FORCE)")


def tables(connection: psycopg.Connection) -> set[str]:
    """Names of the app's tables."""
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in found}


def test_migrate_brings_an_empty_database_up(empty: psycopg.Connection) -> None:
    """The first run makes every table."""
    moved = load_function("migrate").handler({}, None)

    assert moved["from"] is None
    assert {"users", "alembic_version"} <= tables(empty)


@pytest.mark.usefixtures("empty")
def test_migrate_twice_changes_nothing_more() -> None:
    """A second run finds nothing to do."""
    migrate = load_function("migrate")
    first = migrate.handler({}, None)

    second = migrate.handler({}, None)

    assert second == {"from": first["to"], "to": first["to"]}


@pytest.mark.usefixtures("empty")
def test_migrate_at_the_same_time_runs_one_after_the_other() -> None:
    """Of two deployments at once, one migrates and the other finds it done."""
    code = "from tests.loading import load_function; print(load_function('migrate').handler({}, None)['from'])"

    with ThreadPoolExecutor(2) as pool:
        befores = [out.split()[-1] for out in pool.map(run_python, [code, code])]

    assert befores.count("None") == 1


def test_migrate_that_fails_leaves_the_database_as_it_was(empty: psycopg.Connection, tmp_path: Path) -> None:
    """Of a run whose last migration fails, nothing stays."""
    shutil.copytree(ROOT / "functions/migrate", tmp_path / "migrate")
    head = load_function("migrate").handler
    versions = tmp_path / "migrate/versions"
    newest = max(path.name[:4] for path in versions.glob("0*.py"))
    (versions / "9999_broken.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = '9999', '{newest}'\n"
        "def upgrade():\n    op.create_table('half')\n    op.drop_table('nowhere')\n"
    )

    with pytest.raises(ProgrammingError):
        load_module(tmp_path / "migrate/app.py").handler({}, None)

    assert tables(empty) == set()
    assert head({}, None)["to"] == newest


def with_another_migration(folder: Path, statement: str) -> Path:
    """A copy of the function with one more migration, `9999`; the path of its app.py."""
    shutil.copytree(ROOT / "functions/migrate", folder / "migrate")
    versions = folder / "migrate/versions"
    newest = max(path.name[:4] for path in versions.glob("0*.py"))
    (versions / "9999_another.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9999', '{newest}'\n"
        f"def upgrade():\n    op.execute({statement!r})\n"
    )
    return folder / "migrate/app.py"


@pytest.mark.usefixtures("empty")
def test_migrate_leaves_a_newer_schema_alone(tmp_path: Path) -> None:
    """Older code, put back by a deployment that failed later on, does not fail in its turn."""
    load_module(with_another_migration(tmp_path, "SELECT 1")).handler({}, None)

    moved = load_function("migrate").handler({}, None)

    assert moved == {"from": "9999", "to": "9999"}


async def test_migrate_refuses_a_schema_that_it_does_not_bring(empty: psycopg.Connection) -> None:
    """A template that asks for more than the function brings is a mistake, found before anything has changed."""
    with pytest.raises(Conflict, match="asks for 9999"):
        await load_function("migrate").deploy({"Schema": "9999"})

    assert tables(empty) == set()


def test_migrate_lets_the_functions_role_in(empty: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DATABASE_APP_ROLE, the role is there after the first run."""
    monkeypatch.setenv("DATABASE_APP_ROLE", "decant_app")
    config.load.cache_clear()

    load_function("migrate").handler({}, None)

    found = empty.execute("SELECT has_table_privilege('decant_app', 'users', 'INSERT')").fetchone()
    empty.execute("DROP OWNED BY decant_app; DROP ROLE decant_app")
    assert found == (True,)
