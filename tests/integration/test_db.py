"""The shared engine against a real PostgreSQL."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Executable, bindparam, event, literal, select, text
from sqlalchemy.exc import DBAPIError

from decant import db, runtime
from decant.db import pool
from decant.db.engine import database
from decant.errors import ConfigError, DatabaseUnavailable
from decant_cloud.local.postgres import Postgres
from tests.statements import execute

INSERT = text("INSERT INTO users (id, name, email) VALUES (gen_random_uuid(), :name, :email)")
LAST = "INSERT INTO users (id, name, email) VALUES (gen_random_uuid(), 'last', gen_random_uuid())"


@pytest.fixture(params=["asyncpg", "psycopg"])
def driver(request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each driver in turn, chosen by the address alone."""
    name: str = request.param
    monkeypatch.setenv("DATABASE_URL", database_url.replace("asyncpg", name))
    runtime.current().reload()
    return name


async def insert(name: str) -> None:
    """Store a user through a session of its own."""
    async with db.session() as session:
        await session.execute(INSERT, {"name": name, "email": f"{name}@example.com"})


async def count() -> int:
    """How many users are stored."""
    async with db.session() as session:
        found: int = (await session.execute(text("SELECT count(*) FROM users"))).scalar_one()
    return found


async def backend_pid() -> int:
    """Which of the server's processes serves us."""
    async with db.session() as session:
        pid: int = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    return pid


async def statement_pid() -> int:
    """Which of the server's processes runs a statement that is its own transaction."""
    pid: int = (await db.execute("SELECT pg_backend_pid() AS pid", {}))[0]["pid"]
    return pid


async def terminate(pid: int, postgres: Postgres) -> None:
    """End one of the server's processes, and wait until it has ended; without a turn of the event loop."""
    execute(postgres, f"SELECT pg_terminate_backend({pid}, 5000)")


async def test_session_commits_when_the_block_ends_well(driver: str) -> None:
    """What a block wrote is there for the next one, with either driver."""
    await insert(driver)

    assert await count() == 1


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("statement", "given"),
    [
        ("SELECT CAST(:value AS text) AS name, 1 AS number", {"value": "Ada"}),
        (text("SELECT CAST(:value AS text) AS name, 1 AS number"), {"value": "Ada"}),
        (text("SELECT CAST(:value AS text) AS name, 1 AS number").bindparams(value="Ada"), {}),
        (
            text("SELECT 'Ada' AS name, 1 AS number WHERE 1 IN :values").bindparams(
                bindparam("values", expanding=True)
            ),
            {"values": [1, 2]},
        ),
        (select(literal("Ada").label("name"), literal(1).label("number")), {}),
    ],
    ids=["SQL", "text", "with a value", "with a list", "of SQLAlchemy"],
)
async def test_rows_are_mappings(statement: Executable | str, given: dict[str, Any]) -> None:
    """SQL and any statement of SQLAlchemy return rows by the names of its columns, with either driver."""
    (row,) = await db.execute(statement, given)

    assert dict(row) == {"name": "Ada", "number": 1}
    assert row["number"] == 1


@pytest.mark.usefixtures("driver")
async def test_wrong_statement_raises_the_error_of_sqlalchemy_without_values() -> None:
    """An error of the server is SQLAlchemy's, with the SQLSTATE, and does not show values, which may be secret."""
    with pytest.raises(DBAPIError) as caught:
        await db.execute("SELECT 1 / CAST(:secret AS integer) - 17", {"secret": 0})

    assert getattr(caught.value.orig, "sqlstate", None) == "22012"
    assert not caught.value.connection_invalidated
    assert "[parameters" not in str(caught.value) or "hidden" in str(caught.value)


@pytest.mark.usefixtures("driver")
async def test_statement_is_seen_by_listeners_of_the_engine() -> None:
    """An instrumentation that listens to the engine, as the spans of traces do, sees every statement."""
    seen = list[str]()
    event.listen(database().statements.sync_engine, "before_cursor_execute", lambda *given: seen.append(given[2]))

    await db.execute("SELECT 1 AS one", {})

    assert seen == ["SELECT 1 AS one"]


@pytest.mark.usefixtures("driver")
async def test_first_and_last_statement_are_part_of_the_transaction() -> None:
    """The first statement says whether it found a row, and the last one is committed with what the block wrote."""
    for names in (1, 2):
        async with db.joined_session("SELECT 1 FROM users") as joined:
            await insert(f"joining {names}")
            db.execute_last(joined.session, LAST)

        assert (joined.found, await count()) == (names == 2, 2 * names)


@pytest.mark.usefixtures("driver")
async def test_last_statement_is_sent_after_a_rollback() -> None:
    """It is then all that is committed."""
    async with db.joined_session() as joined:
        await insert("joining")
        await joined.session.rollback()
        db.execute_last(joined.session, LAST)

    assert await count() == 1


@pytest.mark.parametrize("position", ["first", "last"])
@pytest.mark.usefixtures("driver")
async def test_first_or_last_statement_that_fails_leaves_nothing(
    position: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error reaches the caller, and the next transaction on the connection is committed."""
    monkeypatch.setenv("DATABASE_POOL_SIZE", "1")
    runtime.current().reload()

    async def join() -> None:
        async with db.joined_session("SELECT 1/0" if position == "first" else "") as joined:
            await insert("joining")
            db.execute_last(joined.session, "SELECT 1/0")

    with pytest.raises(DBAPIError, match="division by zero"):
        await join()
    await insert("next")

    assert await count() == 1


@pytest.mark.usefixtures("database_url")
async def test_session_rolls_back_when_the_block_raises() -> None:
    """An error takes back everything that its block wrote."""

    async def insert_and_raise() -> None:
        async with db.session() as session:
            await session.execute(INSERT, {"name": "a", "email": "a@example.com"})
            raise LookupError

    with pytest.raises(LookupError):
        await insert_and_raise()

    assert await count() == 0


@pytest.mark.usefixtures("database_url")
async def test_engine_keeps_its_connection() -> None:
    """One session after another uses the same connection."""
    pids = {await backend_pid() for _ in range(5)}

    assert len(pids) == 1


@pytest.mark.usefixtures("database_url")
async def test_engine_opens_no_more_connections_than_the_pool_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions over the pool's size wait for a free connection."""
    monkeypatch.setenv("DATABASE_POOL_SIZE", "2")
    runtime.current().reload()

    pids = await asyncio.gather(*(backend_pid() for _ in range(10)))

    assert 1 <= len(set(pids)) <= 2


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("notices", [False, True], ids=["unread", "read"])
@pytest.mark.parametrize("way", ["session", "execute"])
async def test_connection_that_the_server_closed_is_replaced_before_it_is_used(
    postgres: Postgres, way: str, *, notices: bool
) -> None:
    """A connection that the server closed meanwhile is replaced before it is used."""
    before = await backend_pid()
    await terminate(before, postgres)
    if notices:
        await asyncio.sleep(0.05)  # the driver reads from the socket

    after = await backend_pid() if way == "session" else await statement_pid()

    assert after != before


@pytest.mark.usefixtures("driver")
async def test_connections_are_shared_between_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements over the pool's size wait for a free connection, and return theirs."""
    monkeypatch.setenv("DATABASE_POOL_SIZE", "2")
    runtime.current().reload()

    pids = [await asyncio.gather(*(statement_pid() for _ in range(10))) for _ in range(2)]

    assert 1 <= len({pid for some in pids for pid in some}) <= 2


@pytest.mark.usefixtures("driver")
async def test_connection_of_a_cancelled_statement_is_not_used_again() -> None:
    """What the server does with a cancelled statement is not known."""
    before = await statement_pid()
    cancelled = asyncio.create_task(db.execute("SELECT pg_sleep(30)", {}))
    await asyncio.sleep(0.1)

    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    assert await statement_pid() != before


@pytest.mark.usefixtures("driver")
async def test_statement_waits_for_its_turn_beside_an_idle_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection that tasks leave to other statements of the process stays free for them."""
    monkeypatch.setenv("DATABASE_POOL_SIZE", "2")
    runtime.current().reload()
    await asyncio.gather(backend_pid(), backend_pid())
    began, ended = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        db.wait_for_turn()
        async with db.session():
            began.set()
            await ended.wait()

    async def state() -> None:
        db.wait_for_turn()
        await statement_pid()

    holding = asyncio.create_task(hold())
    await began.wait()
    stating = asyncio.create_task(state())
    await asyncio.sleep(0.05)
    waits = not stating.done()
    await statement_pid()
    ended.set()
    await asyncio.gather(holding, stating)

    assert waits


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("notices", [False, True], ids=["unread", "read"])
@pytest.mark.parametrize("way", ["session", "execute"])
async def test_first_statement_is_retried_when_the_server_closed_the_connection_after_the_check(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, way: str, *, notices: bool
) -> None:
    """A connection that is closed between its check and its first statement costs no error."""
    before = await backend_pid()
    await terminate(before, postgres)
    monkeypatch.setattr(pool, "_is_quiet", lambda _connection: True)
    if notices:
        await asyncio.sleep(0.05)  # the driver reads from the socket

    if way == "session":
        after = await backend_pid()
    else:
        after = (await db.execute("SELECT 1", {}, repeat_with="SELECT pg_backend_pid() AS pid"))[0]["pid"]

    assert after != before


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize(("moment_s", "pings"), [(60, 0), (0, 1)])
async def test_connection_is_asked_over_the_network_only_after_a_pause(
    monkeypatch: pytest.MonkeyPatch, moment_s: float, pings: int
) -> None:
    """One that was in use a moment ago costs no round trip; one that was idle longer may be dead unheard."""
    monkeypatch.setattr(pool, "_MOMENT_S", moment_s)
    asked: list[str] = []
    async with db.engine().connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        raw.driver_connection.add_query_logger(lambda record: asked.append(record.query))

    await db.execute("SELECT 1", {})

    assert asked == [";"] * pings


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has TCP_USER_TIMEOUT")
@pytest.mark.usefixtures("driver")
async def test_server_that_no_packet_reaches_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failover to another host, a statement fails in seconds and not after a quarter of an hour."""
    monkeypatch.setenv("DATABASE_CONNECT_TIMEOUT_S", "3")
    runtime.current().reload()

    async with db.session() as session:
        connection = await (await session.connection()).get_raw_connection()
        with socket.socket(fileno=os.dup(pool._socket(connection.driver_connection).fileno())) as opened:
            timeout_ms = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            idle_s = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)

    assert (timeout_ms, idle_s) == (3000, 3)


@pytest.mark.usefixtures("driver")
async def test_session_says_unavailable_while_the_server_is_down(postgres: Postgres) -> None:
    """A server that is down is a clear error, and the same engine works when it is back."""
    await insert("before")
    postgres.stop()
    try:
        with pytest.raises(DatabaseUnavailable):
            await count()
    finally:
        postgres.start()

    assert await count() == 1


@pytest.mark.usefixtures("driver")
async def test_session_says_unavailable_when_cut_in_the_middle(postgres: Postgres) -> None:
    """A server that goes away during a block is the same clear error; nothing of the block is kept."""

    async def cut_in_the_middle() -> None:
        async with db.session() as session:
            await session.execute(INSERT, {"name": "a", "email": "a@example.com"})
            postgres.stop()
            await session.execute(text("SELECT 1"))

    try:
        with pytest.raises(DatabaseUnavailable):
            await cut_in_the_middle()
    finally:
        postgres.start()

    assert await count() == 0


@pytest.mark.usefixtures("driver")
async def test_session_leaves_wrong_statements_alone() -> None:
    """A mistake in a statement is no outage."""
    with pytest.raises(DBAPIError):
        async with db.session() as session:
            await session.execute(text("SELECT 1 FROM nowhere"))


async def join() -> None:
    """Store a user in a transaction that has a first and a last statement."""
    async with db.joined_session("SELECT 1") as joined:
        await insert("joining")
        db.execute_last(joined.session, LAST)


@pytest.mark.parametrize("write", ["session", "statement"])
@pytest.mark.parametrize("begin", [count, join])
async def test_cancelled_session_leaves_no_transaction_to_the_next(
    begin: Callable[[], Coroutine[Any, Any, object]], write: str, database_url: str
) -> None:
    """A session that is cancelled in any turn of the event loop, BEGIN included, makes no later write part of it."""
    await insert("first")
    outside = await asyncpg.connect(database_url.replace("+asyncpg", ""))

    for turns in range(40):
        cancelled = asyncio.create_task(begin())
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait({cancelled})
        name = f"after{turns}"
        if write == "session":
            await insert(name)
        else:
            await db.execute(INSERT, {"name": name, "email": f"{name}@example.com"})

        assert await outside.fetchval("SELECT count(*) FROM users WHERE name = $1", name) == 1, turns
    await outside.close()


@pytest.mark.usefixtures("driver")
async def test_statement_is_cancelled_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement over DATABASE_STATEMENT_TIMEOUT_S is ended by the server."""
    monkeypatch.setenv("DATABASE_STATEMENT_TIMEOUT_S", "0.05")
    runtime.current().reload()

    with pytest.raises(DBAPIError, match="statement timeout"):
        async with db.session() as session:
            await session.execute(text("SELECT pg_sleep(5)"))


async def test_engine_without_an_address_says_what_to_set() -> None:
    """A function that uses the database names the variable it lacks."""
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        db.engine()
