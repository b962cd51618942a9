"""What the list of users reads: by an index, and as much from a million rows as from ten thousand."""

import json
from typing import Any

import psycopg
import pytest
from sqlalchemy import Select

from decant import db
from domain import users

INDEXES = ("users_created_at_id", "users_email_key")

FILL = """
    INSERT INTO users (id, name, email, created_at)
    SELECT gen_random_uuid(), 'User ' || n, 'user-' || n || '@example.com', now() - make_interval(secs => n / 3)
    FROM generate_series(1, %s) AS n
"""


@pytest.fixture(params=[10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def filled(request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of users."""
    monkeypatch.setenv("DATABASE_STATEMENT_TIMEOUT_S", "120")
    with psycopg.connect(database_url.replace("+asyncpg", ""), autocommit=True) as connection:
        connection.execute(FILL, [request.param])
        connection.execute("VACUUM ANALYZE users")


@pytest.mark.usefixtures("filled")
async def test_page_reads_its_rows_alone() -> None:
    """A page of 50 users reads at most 200 pages of the table and its indexes, with any conditions."""
    async with db.session() as session:
        middle = (await session.scalars(users.newest(1, email="user-5000@example.com"))).one()
    before = middle.created_at, middle.id

    plans = {
        "first": await plan_of(users.newest(51)),
        "middle": await plan_of(users.newest(51, before=before)),
        "address": await plan_of(users.newest(51, email="USER-7000@example.com")),
        "both": await plan_of(users.newest(51, before=before, email="USER-7000@example.com")),
    }

    indexes = {name: [index for index in INDEXES if index in json.dumps(plan)] for name, plan in plans.items()}
    by_time, by_address = ([index] for index in INDEXES)
    assert indexes == {"first": by_time, "middle": by_time, "address": by_address, "both": by_address}
    assert "Seq Scan" not in json.dumps(plans)
    assert all(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= 200 for plan in plans.values()), plans


async def plan_of(query: Select[Any]) -> dict[str, Any]:
    """How PostgreSQL runs a query."""
    compiled = query.compile(dialect=db.engine().dialect, compile_kwargs={"literal_binds": True})
    async with db.session() as session:
        connection = await session.connection()
        explained = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {compiled}")
        found = explained.scalar_one()
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan
