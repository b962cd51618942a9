"""Rehearse a restore on the local PostgreSQL: dump, restore into a new database, compare: `make restore-rehearsal`.

Dump and comparison use one snapshot, so that tasks may run meanwhile.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.postgres import PSQL
from decant_cloud.local.state import require_running

__all__ = ["Table", "compare", "rehearse", "run"]

type Table = tuple[int, str]
"""Number of a table's rows, and a hash of them."""

_TABLES = """
SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""
_FINGERPRINT = "SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {} AS t"


def run(*, state: Path) -> int:
    """Rehearse with the database of the running local cloud; returns the exit status.

    Raises:
        LocalCloudError: no local cloud runs, or the dump or the restore failed.
    """
    started = time.monotonic()
    tables, differences = rehearse(make_url(require_running(state).database_url))
    for line in differences:
        print(f"error: {line}", file=sys.stderr)
    if not differences:
        rows, took_s = sum(count for count, _ in tables.values()), time.monotonic() - started
        print(f"Restored {len(tables)} tables with {rows} rows, equal to the source, in {took_s:.1f} s")
    return 1 if differences else 0


def rehearse(source: URL) -> tuple[dict[str, Table], list[str]]:
    """Dump a database, restore the dump into a new database, compare the two and drop the new one.

    Args:
        source: Address of the database, of a role that may create databases.
    Returns:
        The tables of the source, and the differences, one line each.
    Raises:
        LocalCloudError: the dump or the restore failed; the message contains the reason.
    """
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(_address(source)) as connection:
        dump = Path(folder) / "dump"
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        [snapshot] = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        _run("pg_dump", source, "--format=custom", f"--snapshot={snapshot}", f"--file={dump}")
        with _new_database(source) as target:
            _run("pg_restore", target, "--exit-on-error", "--no-owner", str(dump))
            with psycopg.connect(_address(target)) as restored:
                tables = _tables(connection)
                return tables, list(compare(tables, _tables(restored)))


def compare(source: dict[str, Table], restored: dict[str, Table]) -> Iterator[str]:
    """Tables that are missing or have other rows."""
    for name, (count, fingerprint) in source.items():
        if name not in restored:
            yield f"{name} was not restored"
        elif restored[name] != (count, fingerprint):
            yield f"{name} has {restored[name][0]} rows in place of {count}, or other values"


@contextmanager
def _new_database(source: URL) -> Iterator[URL]:
    """An empty database beside the source, dropped at the end."""
    name = f"restore_rehearsal_{uuid4().hex[:8]}"
    with psycopg.connect(_address(source), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield source.set(database=name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _tables(connection: psycopg.Connection) -> dict[str, Table]:
    found = {}
    for schema, name in connection.execute(_TABLES).fetchall():
        query = sql.SQL(_FINGERPRINT).format(sql.Identifier(schema, name))
        [count, fingerprint] = connection.execute(query).fetchone() or (0, "")
        found[f"{schema}.{name}"] = (int(count), str(fingerprint))
    return found


def _run(program: str, database: URL, *arguments: str) -> None:
    environment = {**os.environ, "PGPASSWORD": database.password or ""}  # others can read command lines
    address = _address(database.set(password=None))
    command = [str(PSQL.with_name(program)), "--dbname", address, *arguments]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise LocalCloudError(f"{program} failed: {finished.stderr.strip()}")


def _address(database: URL) -> str:
    return database.set(drivername="postgresql").render_as_string(hide_password=False)
