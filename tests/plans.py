"""Plans of statements in databases of any size."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import TextClause

from decant import db, loop
from decant.runtime import Runtime
from decant_cloud.local.postgres import Postgres
from decant_cloud.pytest_plugin import administer
from tests.worlds import execute

__all__ = ["Plan", "database_with", "plan_of"]


@contextmanager
def database_with(
    migrated: Postgres, name: str, fill: Sequence[str], count: int, *, analyzed: bool = True
) -> Iterator[None]:
    """A database with the rows of statements, and settings that lead to it.

    Args:
        migrated: The server, whose database `sample` has no rows.
        name: Name of the database.
        fill: Statements that insert rows.
        count: Their parameter `count`.
        analyzed: PostgreSQL has statistics of the rows; otherwise they have been inserted just now.
    """
    administer(migrated, f"CREATE DATABASE {name} TEMPLATE sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", migrated.url(name))
        patch.setenv("DATABASE_STATEMENT_TIMEOUT_S", "900")
        with Runtime(os.environ).active() as own:
            for statement in fill:
                loop.run(execute(statement, count=count))
            own.shut_down()
        if analyzed:
            with psycopg.connect(migrated.url(name).replace("+asyncpg", ""), autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE decant.task, decant.step, decant.signal")
        yield


class Plan:
    """How a statement was run.

    Attributes:
        buffers: Pages read, from memory or disk.
        indexes: Indexes that it went by.
        scans: Whether it read the table of tasks or of steps from end to end.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        nodes = list(_nodes(root))
        self.buffers = root["Shared Hit Blocks"] + root["Shared Read Blocks"]
        self.indexes = {node["Index Name"] for node in nodes if "Index Name" in node}
        self.scans = any(
            node["Node Type"] == "Seq Scan" and node["Relation Name"] in {"task", "step"} for node in nodes
        )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


async def plan_of(statement: str, **given: Any) -> Plan:
    """Run a statement, look how, and undo it."""
    async with db.session() as session:
        explain = TextClause(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
        found = (await session.execute(explain, given)).scalar_one()
        await session.rollback()
    return Plan((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])
