"""Execute single statements on a test's PostgreSQL as the superuser."""

from typing import Any

import psycopg

from decant_cloud.local.postgres import Postgres

__all__ = ["execute"]


def execute(server: Postgres, statement: str, database: str = "postgres") -> Any:
    """Execute a statement outside of a transaction; the first value of its first row, if any."""
    with psycopg.connect(server.url(database).replace("+asyncpg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
    return row and row[0]
