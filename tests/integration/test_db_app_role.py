"""What the functions' role may do, in a real PostgreSQL."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, NullPool, create_engine

from decant.db.migrations import grant


@pytest.fixture
def owner(database_url: str) -> Iterator[Connection]:
    """The owner's connection to a migrated database, in a transaction for each statement."""
    engine = create_engine(database_url.replace("asyncpg", "psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def app(owner: Connection) -> Iterator[psycopg.Connection]:
    """A connection as the role that has just been let in."""
    grant(owner, "decant_app")
    grant(owner, "decant_app")  # as after every migration
    owner.exec_driver_sql("ALTER ROLE decant_app PASSWORD 'app'")
    address = owner.engine.url.set(drivername="postgresql", username="decant_app", password="app")
    with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection
    owner.exec_driver_sql("DROP OWNED BY decant_app")
    owner.exec_driver_sql("DROP ROLE decant_app")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (id, name, email) VALUES (gen_random_uuid(), 'a', 'a@example.com')",
        "UPDATE users SET name = 'b'",
        "DELETE FROM users",
        "SELECT * FROM decant.task FOR UPDATE SKIP LOCKED",
        "SELECT * FROM decant.alembic_version",
    ],
)
def test_app_role_reads_and_writes_rows(app: psycopg.Connection, statement: str) -> None:
    """Everything that functions do is allowed."""
    done = app.execute(statement).statusmessage

    assert (done or "").split()[0] == statement.split(maxsplit=1)[0]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE own (id int)",
        "ALTER TABLE users ADD COLUMN extra text",
        "DROP TABLE users",
        "TRUNCATE users",
        "UPDATE decant.alembic_version SET version_num = '0001'",
        "CREATE ROLE another",
        "COPY users TO PROGRAM 'cat'",
    ],
)
def test_app_role_changes_no_schema(app: psycopg.Connection, statement: str) -> None:
    """An attacker who controls a function cannot change the schema."""
    with pytest.raises(InsufficientPrivilege):
        app.execute(statement)


@pytest.mark.usefixtures("app")
def test_app_role_logs_in_by_iam_where_there_is_iam(owner: Connection) -> None:
    """On RDS the role is one of those whose tokens are taken."""
    owner.exec_driver_sql("CREATE ROLE rds_iam")

    grant(owner, "decant_app")

    member = owner.exec_driver_sql("SELECT pg_has_role('decant_app', 'rds_iam', 'MEMBER')").scalar_one()
    owner.exec_driver_sql("DROP ROLE rds_iam")
    assert member is True
