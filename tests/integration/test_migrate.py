"""The `migrate` function against a real PostgreSQL."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ProgrammingError

from decant import runtime
from decant.db import migrations
from decant.errors import Conflict
from decant_cloud.local.postgres import Postgres
from tests.loading import load_module, run_python
from tests.sample.bundle import load_function, sample_bundle
from tests.sample.database import VERSIONS


@pytest.fixture
def empty(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """Connection to a database that nothing was done to; DATABASE_URL is set to it."""
    with psycopg.connect(postgres.url(driver="").replace("+", ""), autocommit=True) as admin:
        admin.execute("CREATE DATABASE empty")
        monkeypatch.setenv("DATABASE_URL", postgres.url("empty"))
        runtime.current().reload()
        with psycopg.connect(postgres.url("empty", driver="").replace("+", ""), autocommit=True) as connection:
            yield connection
        admin.execute("DROP DATABASE empty WITH (FORCE)")


LIBRARY = {
    "decant.task",
    "decant.task_limit",
    "decant.span",
    "decant.worker",
    "decant.step",
    "decant.signal",
    "decant.schedule",
    "decant.paused_queue",
    "decant.sweeper",
    "decant.task_statistic",
    "decant.idempotent_response",
    "decant.alembic_version",
}
"""Tables of the library."""

LIBRARY_REVISIONS = [f"decant_{number:04}" for number in range(16, 0, -1)]


def tables(connection: psycopg.Connection) -> set[str]:
    """Names of all tables, those outside of `public` with their schema."""
    found = connection.execute("SELECT schemaname, tablename FROM pg_tables").fetchall()
    names = {f"{schema}.{table}" for schema, table in found if schema not in {"pg_catalog", "information_schema"}}
    return {name.removeprefix("public.") for name in names}


def recorded(connection: psycopg.Connection) -> set[str]:
    """Revisions that the database records."""
    return {row[0] for row in connection.execute("SELECT version_num FROM decant.alembic_version").fetchall()}


def test_migrate_brings_an_empty_database_up(empty: psycopg.Connection) -> None:
    """The first run creates the tables of the library and of the app."""
    moved = load_function("migrate").handler({}, None)

    assert moved == {"from": None, "to": migrations.heads(VERSIONS)}
    assert tables(empty) == {"users", *LIBRARY}


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
    app = sample_bundle() / "functions/migrate/app.py"
    code = f"from pathlib import Path; from tests.loading import load_module; module = load_module(Path({str(app)!r}))"
    code += "; print(module.handler({}, None)['from'])"

    with ThreadPoolExecutor(2) as pool:
        befores = [out.split()[-1] for out in pool.map(run_python, [code, code])]

    assert befores.count("None") == 1


def with_another_migration(folder: Path, statement: str) -> Path:
    """A copy of the function with another migration after the app's newest, `9999_more`; the path of its app.py."""
    shutil.copytree(sample_bundle() / "functions/migrate", folder / "migrate")
    newest = max(path.stem for path in VERSIONS.glob("0*.py"))
    (folder / "migrate/versions/9999_more.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9999_more', '{newest}'\n"
        f"def upgrade():\n    op.execute({statement!r})\n"
    )
    return folder / "migrate/app.py"


def test_migrate_that_fails_leaves_the_database_as_it_was(empty: psycopg.Connection, tmp_path: Path) -> None:
    """A run whose last migration fails leaves nothing behind."""
    broken = with_another_migration(tmp_path, "CREATE TABLE half (); DROP TABLE nowhere")

    with pytest.raises(ProgrammingError):
        load_module(broken).handler({}, None)

    assert tables(empty) == set()
    assert load_function("migrate").handler({}, None)["from"] is None


def test_migrate_leaves_a_newer_schema_alone(empty: psycopg.Connection, tmp_path: Path) -> None:
    """Older code that runs after a rollback leaves the newer schema in place and succeeds."""
    load_module(with_another_migration(tmp_path, "SELECT 1")).handler({}, None)

    moved = load_function("migrate").handler({}, None)

    assert moved["from"] == moved["to"]
    assert "9999_more" in recorded(empty)


def test_migrate_of_an_app_without_migrations_creates_the_librarys_tables(
    empty: psycopg.Connection, tmp_path: Path
) -> None:
    """The library's migrations need none of the app's: the demo's can be removed."""
    shutil.copy(sample_bundle() / "functions/migrate/app.py", tmp_path)

    load_module(tmp_path / "app.py").handler({}, None)

    assert tables(empty) == LIBRARY


def test_migrations_of_the_library_depend_on_none_of_the_app() -> None:
    """The library's branch begins and ends with its own revisions, and carries its label."""
    scripts = ScriptDirectory(Path(migrations.__file__).parent)

    revisions = list(scripts.walk_revisions())

    assert [each.revision for each in revisions] == LIBRARY_REVISIONS
    assert all(each.branch_labels == {"decant"} for each in revisions)


LATER_COLUMNS = [
    "options",
    "expires_in_s",
    "details",
    "signalled",
    "suspended",
    "awaited_by",
    "forked_from",
    "attempts",
    "limit_key",
    "has_steps",
]
"""Columns of a task that later migrations add."""

SINGLE_LINE = [
    pytest.param("0001", "; DROP TABLE users; DROP INDEX decant.task_open, decant.task_dead", id="0001"),
    pytest.param("0002", "; DROP INDEX decant.task_open, decant.task_dead", id="0002"),
    pytest.param("0003", "", id="0003"),
]
"""Revisions of the line that the library and the demo shared, with statements that remove what came after them."""


def make_single_line(connection: psycopg.Connection, revision: str, later: str) -> None:
    """Make an empty database what an earlier release left there, with a row in each table."""
    load_function("migrate").handler({}, None)
    later += "; DROP FUNCTION decant.delete_steps CASCADE"
    later += "; ALTER TABLE decant.task " + ", ".join(f"DROP COLUMN {column}" for column in LATER_COLUMNS)
    later += "; DROP TABLE decant.idempotent_response, decant.step, decant.signal, decant.paused_queue"
    later += ", decant.task_statistic, decant.sweeper, decant.task_limit, decant.span, decant.worker"
    later += "; DROP INDEX decant.task_done_keyed"
    later += "; DROP INDEX IF EXISTS users_created_at_id"
    connection.execute(
        f"DROP TABLE decant.alembic_version; ALTER TABLE decant.schedule DROP COLUMN absent, DROP COLUMN paused {later}"
    )
    connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    connection.execute("INSERT INTO alembic_version VALUES (%s)", [revision])
    connection.execute(
        "INSERT INTO decant.task (id, name, queue, args, kwargs) VALUES (gen_random_uuid(), 'a', 'default', '[]', '{}')"
    )
    if "users" in tables(connection):
        connection.execute("INSERT INTO users (id, name, email) VALUES (gen_random_uuid(), 'a', 'a@example.com')")


def contents(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    """Every task, without the columns of later releases, and every user."""
    users = connection.execute("SELECT * FROM users").fetchall() if "users" in tables(connection) else []
    return [
        *connection.execute("SELECT to_jsonb(task) - %s::text[] FROM decant.task", [LATER_COLUMNS]).fetchall(),
        *users,
    ]


def indexes(connection: psycopg.Connection) -> set[str]:
    """Names of all indexes."""
    return {row[0] for row in connection.execute("SELECT indexname FROM pg_indexes").fetchall()}


@pytest.mark.parametrize(("revision", "later"), SINGLE_LINE)
def test_migrate_continues_a_database_of_the_single_line(empty: psycopg.Connection, revision: str, later: str) -> None:
    """A database of an earlier release gets what is missing and keeps its rows."""
    make_single_line(empty, revision, later)
    rows = contents(empty)

    moved = load_function("migrate").handler({}, None)

    assert moved == {"from": revision, "to": migrations.heads(VERSIONS)}
    assert contents(empty) == rows
    assert {"users", "decant.task"} <= tables(empty)
    assert {"task_open", "task_dead", "users_email_key"} <= indexes(empty)
    assert load_function("migrate").handler({}, None)["from"] == migrations.heads(VERSIONS)


@pytest.mark.parametrize(("revision", "later"), SINGLE_LINE)
def test_releases_of_the_single_line_find_a_newer_schema(empty: psycopg.Connection, revision: str, later: str) -> None:
    """After a rollback, an earlier release reads a revision that it does not have, and leaves the schema alone."""
    make_single_line(empty, revision, later)

    load_function("migrate").handler({}, None)

    [(found,)] = empty.execute("SELECT version_num FROM alembic_version").fetchall()
    assert found not in {"0001", "0002", "0003"}


def test_migrate_continues_the_single_line_of_an_app_without_the_demo(
    empty: psycopg.Connection, tmp_path: Path
) -> None:
    """The demo's migration can be removed from an app whose database has already applied it."""
    make_single_line(empty, "0003", "")
    rows = contents(empty)
    shutil.copy(sample_bundle() / "functions/migrate/app.py", tmp_path)

    load_module(tmp_path / "app.py").handler({}, None)

    assert recorded(empty) == {LIBRARY_REVISIONS[0]}
    assert contents(empty) == rows


def test_migrate_keeps_the_revision_that_an_app_added_to_the_single_line(
    empty: psycopg.Connection, tmp_path: Path
) -> None:
    """An app's own migration after 0003 is not applied again."""
    make_single_line(empty, "9999_more", "")
    app = with_another_migration(tmp_path, "CREATE TABLE users ()")

    load_module(app).handler({}, None)

    assert recorded(empty) == {"9999_more", LIBRARY_REVISIONS[0]}


async def test_migrate_refuses_a_schema_that_it_does_not_bring(empty: psycopg.Connection) -> None:
    """A template that asks for more than the function brings is a mistake, found before anything has changed."""
    with pytest.raises(Conflict, match="asks for 9999"):
        await load_function("migrate").deploy({"Schema": "9999"})

    assert tables(empty) == set()


def test_migrate_lets_the_functions_role_in(empty: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DATABASE_APP_ROLE, the role is there after the first run."""
    monkeypatch.setenv("DATABASE_APP_ROLE", "decant_app")
    runtime.current().reload()

    load_function("migrate").handler({}, None)

    found = empty.execute("SELECT has_table_privilege('decant_app', 'users', 'INSERT')").fetchone()
    empty.execute("DROP OWNED BY decant_app; DROP ROLE decant_app")
    assert found == (True,)
