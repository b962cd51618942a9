"""PgBouncer in transaction mode: statements of many clients share a few connections to PostgreSQL."""

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from decant import db
from decant.tasks import State
from decant_cloud.local.postgres import Postgres
from tests import work
from tests.pgbouncer import Pgbouncer
from tests.sample.database import migrate
from tests.statements import execute
from tests.worlds import PostgresWorld

pytestmark = pytest.mark.pgbouncer

CLIENTS = 24
STATEMENTS = 192


@pytest.fixture(scope="module")
def pooler(migrated: Postgres) -> Iterator[Pgbouncer]:
    """PgBouncer with four connections."""
    with tempfile.TemporaryDirectory(prefix="decant-pgbouncer-") as folder:
        Path(folder).chmod(0o711)
        with Pgbouncer(Path(folder), migrated, connections=4) as running:
            yield running


@pytest.fixture(
    params=[
        pytest.param(("asyncpg", "", "true"), id="asyncpg"),
        pytest.param(("psycopg", "", "true"), id="psycopg"),
        pytest.param(("asyncpg", "?pgbouncer=true", ""), id="asyncpg by the URL"),
        pytest.param(("psycopg", "?statement_cache_size=0", ""), id="psycopg by the URL"),
    ]
)
def pooled(
    request: pytest.FixtureRequest,
    pooler: Pgbouncer,
    migrated: Postgres,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The settings for the test's database behind the pooler, with each driver."""
    driver, parameters, setting = request.param
    address = database_url.replace(f":{migrated.port}/", f":{pooler.port}/").replace("asyncpg", driver)
    monkeypatch.setenv("DATABASE_URL", address + parameters)
    monkeypatch.setenv("DATABASE_POOLER", setting)
    monkeypatch.setenv("DATABASE_POOL_SIZE", str(CLIENTS))
    monkeypatch.setenv("DATABASE_CONNECT_TIMEOUT_S", "30")


async def through_session(number: int) -> int:
    """Send two statements in a transaction of a session."""
    async with db.session() as session:
        process = await session.scalar(text("SELECT pg_backend_pid()"))
        row = (
            await session.execute(
                text("SELECT CAST(:number AS integer) + 1 AS next, pg_backend_pid() AS pid, CAST(:names AS text[])"),
                {"number": number, "names": ["a", "b"]},
            )
        ).one()
    assert row.pid == process
    return int(row.next)


async def through_execute(number: int) -> int:
    """Send one statement, one of several with different numbers of parameters."""
    match number % 3:
        case 0:
            rows = await db.execute(text("SELECT CAST(:n AS integer) + 1 AS next"), {"n": number})
        case 1:
            rows = await db.execute(
                text("SELECT CAST(:n AS integer) + CAST(:m AS integer) AS next"), {"n": number, "m": 1}
            )
        case _:
            rows = await db.execute(text(f"SELECT {number} + 1 AS next"), {})
    return int(rows[0]["next"])


@pytest.mark.usefixtures("pooled")
async def test_concurrent_statements_succeed() -> None:
    """Sessions and single statements receive their own results, on any of the pooler's connections."""
    sent = [(through_session if number % 2 else through_execute)(number) for number in range(STATEMENTS)]

    results = await asyncio.gather(*sent)

    assert results == [number + 1 for number in range(STATEMENTS)]


@pytest.mark.usefixtures("pooled")
async def test_concurrent_tasks_are_enqueued_and_run() -> None:
    """Enqueueing, claiming and completing tasks succeed while other statements are sent."""
    enqueued = [work.add.delay(number, 1) for number in range(STATEMENTS - CLIENTS)]
    jobs = await asyncio.gather(*enqueued)

    await asyncio.gather(PostgresWorld().run(), *(through_execute(number) for number in range(CLIENTS)))

    assert [await job.state for job in jobs[:10]] == [State.SUCCESS] * 10
    assert [await job.result for job in jobs[-3:]] == [number + 1 for number in range(STATEMENTS - CLIENTS)][-3:]


@pytest.mark.usefixtures("pooled")
async def test_statement_of_a_write_is_committed() -> None:
    """A single statement is a transaction of its own behind a pooler too."""
    await db.execute(text("CREATE TABLE written (name text)"), {})

    await db.execute(text("INSERT INTO written VALUES (:name)"), {"name": "Ada"})

    assert [row["name"] for row in await db.execute(text("SELECT name FROM written"), {})] == ["Ada"]


@pytest.mark.usefixtures("pooled")
async def test_first_and_last_statement_of_a_transaction_are_committed() -> None:
    """They can be in the messages of BEGIN and COMMIT behind a pooler too."""
    await db.execute(text("CREATE TABLE joined (name text)"), {})

    async with db.joined_session("SELECT 1") as joined:
        await db.execute(text("INSERT INTO joined VALUES ('block')"), {})
        db.execute_last(joined.session, "INSERT INTO joined VALUES ('last')")

    assert joined.found
    assert [row["name"] for row in await db.execute(text("SELECT name FROM joined"), {})] == ["block", "last"]


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("way", ["session", "execute"])
async def test_statement_is_cancelled_at_its_time_limit(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_STATEMENT_TIMEOUT_S applies in each transaction."""
    monkeypatch.setenv("DATABASE_STATEMENT_TIMEOUT_S", "0.05")

    async def sleep() -> None:
        if way == "execute":
            await db.execute(text("SELECT pg_sleep(5)"), {})
        else:
            async with db.session() as session:
                await session.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(DBAPIError, match="statement timeout"):
        await sleep()


@pytest.mark.usefixtures("pooled")
async def test_settings_of_shared_sessions_stay_as_they_were(database_url: str, pooler: Pgbouncer) -> None:
    """The statement timeout and JIT of the server's sessions are those of the server, for other clients."""
    await asyncio.gather(*(through_session(number) for number in range(CLIENTS)))
    url = make_url(database_url).set(drivername="postgresql", port=pooler.port)
    other = await asyncpg.connect(url.render_as_string(hide_password=False), statement_cache_size=0)

    settings = {
        (await other.fetchval("SHOW statement_timeout"), await other.fetchval("SHOW jit")) for _ in range(CLIENTS)
    }
    await other.close()

    assert settings == {("0", "on")}


@pytest.mark.usefixtures("pooled")
def test_migrations_run_behind_a_pooler(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty database is migrated in one transaction."""
    name = f"empty_{uuid4().hex}"
    execute(postgres, f"CREATE DATABASE {name}")
    monkeypatch.setenv("DATABASE_URL", re.sub(r"/\w+_test\b", f"/{name}", os.environ["DATABASE_URL"]))

    migrate()

    assert execute(postgres, "SELECT count(*) FROM decant.alembic_version", name) == 2


@pytest.mark.usefixtures("pooled")
async def test_idle_connection_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of a connection that was idle needs no prepared statement either."""
    monkeypatch.setattr("decant.db.pool._MOMENT_S", 0)

    results = await asyncio.gather(*(through_execute(number) for number in range(CLIENTS * 2)))

    assert results == [number + 1 for number in range(CLIENTS * 2)]
