"""The rehearsal of a restore, on a real PostgreSQL."""

import psycopg
from sqlalchemy import make_url

from decant_cloud.local.restore_rehearsal import compare, rehearse


def test_rehearsal_restores_every_table_with_its_rows(database_url: str) -> None:
    """The restored database equals the source, and is dropped afterwards."""
    address = database_url.replace("+asyncpg", "")
    with psycopg.connect(address) as connection:
        connection.execute("INSERT INTO users (id, name, email) VALUES (gen_random_uuid(), 'Ada', 'ada@example.com')")

    tables, differences = rehearse(make_url(database_url))

    assert differences == []
    assert tables["public.users"][0] == 1
    assert any(name.startswith("decant.") for name in tables)
    with psycopg.connect(address) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'restore_rehearsal_%'"
        ).fetchone()
    assert left == (0,)


def test_rehearsal_reports_tables_that_differ() -> None:
    """A table that is missing, and a table with other rows, are named."""
    source = {"public.a": (1, "x"), "public.b": (2, "y"), "public.c": (3, "z")}

    lines = list(compare(source, {"public.a": (1, "x"), "public.b": (1, "y")}))

    assert lines == ["public.b has 1 rows in place of 2, or other values", "public.c was not restored"]
