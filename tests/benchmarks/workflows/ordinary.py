"""What workflows cost ordinary tasks: today's statements beside those without the columns and tables of workflows.

Two databases are used in turn by one process. In the second one, the table of tasks has no columns of workflows, no
table refers to it, and the statements are changed in the same way; both sides execute the same Python code.
"""

import math
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

from sqlalchemy import text

from decant import db, loop
from decant.db import migrations
from decant.runtime import Runtime
from decant.tasks.records import Runnable
from decant.tasks.registry import registry, task
from decant.tasks.sql import claim, enqueue, run, sweep
from decant.tasks.store import store
from decant.worker.execution import Deadline
from decant.worker.runner import Runner
from decant_cloud.local.postgres import Postgres
from tests.benchmarks.workflows.peers import create_database
from tests.loading import ROOT

__all__ = ["measure_ordinary", "work"]

_ROUNDS, _TASKS, _LONGEST_S = 200, 300, 90.0

_RENEWAL = 10
"""Rounds after which both sides open other connections: a connection stays faster or slower than another by 3 %."""

_PREPARATION = 7
"""Unmeasured rounds on new connections and an empty table: PostgreSQL plans the first five executions of a statement by
themselves, and those after TRUNCATE, which a worker executes once.
"""

_COLUMNS = ("signalled", "suspended", "awaited_by", "forked_from", "has_steps")

_WITHOUT_COLUMNS = (
    "DROP TABLE decant.step, decant.signal",
    "DROP FUNCTION decant.delete_steps CASCADE",
    f"ALTER TABLE decant.task {', '.join(f'DROP COLUMN {column}' for column in _COLUMNS)}",
    "ALTER TABLE decant.task RENAME TO before",  # its dropped columns keep their place in the rows
    "CREATE TABLE decant.task (LIKE decant.before INCLUDING ALL)",
    """
        DO $$ BEGIN EXECUTE (
            SELECT format('ALTER TABLE decant.task SET (%s)', array_to_string(reloptions, ', '))
            FROM pg_class WHERE oid = CAST('decant.before' AS regclass)
        ); END $$
    """,
    "DROP TABLE decant.before CASCADE",
)

_INSERTS = ((enqueue, "INSERT"), (enqueue, "INSERT_CALLS"), (enqueue, "INSERT_NEW_CALLS"))
_STATEMENTS = (*_INSERTS, (claim, "CLAIM_DUE"), (run, "COMPLETE"), (sweep, "DELETE"))

_REMOVED = {
    r" OR t\.awaited_by IS NOT NULL": "",
    r", (t\.)?awaited_by\b( uuid)?": "",
    r"o\.signalled = t\.signalled AS waits_for_signal,": "",
    r"CASE WHEN o\.signalled .*? END AS delay_s": "o.delay_s",
    r",\s*NOT ended\.waits_for_signal AS signalled": "",
    r"suspended = .*?,\n": "",
    r"coalesce\(o\.has_steps, true\) AS has_steps,": "",
    r"has_steps = ended\.has_steps,": "",
    r", has_steps boolean": "",
    r", t\.has_steps OR t\.signalled > 0 AS has_steps": "",
    r", signalled( integer)?": "",
    r"own AS MATERIALIZED .*?LIMIT 1\s*\),\s*deleted": "deleted",
    r"\s*AND \(\(SELECT id FROM rest\).*?FROM rest\)\)": "",
    r" \+ coalesce\(sum\(steps\), 0\)(.*?)\s*FROM own.*?\(SELECT id FROM deleted\)": r"\1",
}
"""Parts of the statements that exist because of workflows, and what was there before."""


@task
async def ordinary() -> None:
    """Do nothing, without a step."""


async def work() -> None:
    """Run everything that is due."""
    async with Runner(Deadline(math.inf), 900) as runner:
        while claimed := await store().claim_due(Runnable(list(registry)), runner.lease_s, 10_000):
            await runner.run(claimed)


class Cost(NamedTuple):
    """Cost of the enqueue, the run and the deletion of a task.

    Attributes:
        own_us: Processor time of the process, microseconds.
        database_us: Processor time of PostgreSQL's connections.
        wal_bytes: Bytes of the write-ahead log.
    """

    own_us: float
    database_us: float
    wal_bytes: float

    @property
    def us(self) -> float:
        """All processor time."""
        return self.own_us + self.database_us


def _without_workflows(given: str) -> str:
    for part, before in _REMOVED.items():
        given = re.sub(part, before, given, flags=re.DOTALL)
    left = re.findall(rf"\b(?:{'|'.join(_COLUMNS)}|waits_for_signal|decant\.step)\b", given)
    if left:
        raise ValueError(f"Statements use {left} at places that this benchmark does not remove: {given}")
    return given


class _Side:
    """A database, and the statements that are executed on it."""

    def __init__(self, server: Postgres, name: str) -> None:
        variables = {"DATABASE_POOL_SIZE": "10", "TASK_CONCURRENCY": "100", "LOG_LEVEL": "WARNING"}
        self._runtime = Runtime({"DATABASE_URL": server.url(name), **variables})
        self._changed: list[tuple[Any, str, str]] = []
        with self._runtime.active():
            loop.run(migrations.migrate(ROOT / "functions/migrate/versions"))

    def remove_workflows(self) -> None:
        """Use the tables and the statements without the parts for workflows."""
        with self._runtime.active():
            for statement in _WITHOUT_COLUMNS:
                loop.run(execute(statement))
        self._changed = [(module, name, _without_workflows(getattr(module, name))) for module, name in _STATEMENTS]

    def measure(self, count: int) -> Cost:
        """Enqueue, run and delete tasks."""
        with self._runtime.active(), ExitStack() as changed:
            for module, name, statement in self._changed:
                changed.enter_context(patch.object(module, name, statement))
            return loop.run(_measure(count))

    def renew(self) -> None:
        """Empty the table, open other connections, and use them."""
        with self._runtime.active():
            loop.run(execute("TRUNCATE decant.task"))
            loop.run(db.dispose())
        for _ in range(_PREPARATION):
            self.measure(_TASKS)

    def close(self) -> None:
        """Release its connections."""
        with self._runtime.active():
            loop.run(loop.close())
            self._runtime.shut_down()


async def execute(statement: str) -> list[dict[str, Any]]:
    """Execute a statement outside of a transaction."""
    async with db.engine().connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        result = await autocommit.execute(text(statement))
        return [dict(row) for row in result.mappings()] if result.returns_rows else []


async def _measure(count: int) -> Cost:
    own, before = time.process_time(), await _used()
    await ordinary.delay_many([()] * count)
    await work()
    await store().delete(0, count)
    used = (after - earlier for after, earlier in zip(await _used(), before, strict=True))
    return Cost(1e6 * (time.process_time() - own) / count, *(each / count for each in used))


async def _used() -> tuple[float, float]:
    """Processor time of the database's connections so far, microseconds, and bytes of the write-ahead log."""
    rows = await execute("""
        SELECT pg_current_wal_insert_lsn() - '0/0' AS wal, pg_read_file('/proc/' || pid || '/schedstat') AS times
        FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
    """)
    return sum(int(row["times"].split()[0]) for row in rows) / 1000, float(rows[0]["wal"])


@contextmanager
def _sides(server: Postgres) -> Iterator[tuple[_Side, _Side]]:
    sides = []
    for name in ("ordinary_with", "ordinary_without"):
        create_database(server, name)
        sides.append(_Side(server, name))
    sides[1].remove_workflows()
    try:
        yield sides[0], sides[1]
    finally:
        for side in sides:
            side.close()


def measure_ordinary(server: Postgres) -> str:
    """Measure both sides in turn, and compare them round by round; returns ratios."""
    pairs = list[tuple[Cost, Cost]]()
    ends_at = time.monotonic() + _LONGEST_S
    with _sides(server) as (today, before):
        while len(pairs) < _ROUNDS and time.monotonic() < ends_at:
            if len(pairs) % _RENEWAL == 0:
                today.renew()
                before.renew()
            pairs.append((today.measure(_TASKS), before.measure(_TASKS)))
            earlier = before.measure(_TASKS)  # either side is the first one in every second round
            pairs.append((today.measure(_TASKS), earlier))
    low, ratio, high = _middle([own.us / other.us for own, other in pairs])
    own_us, database_us, wal = (
        median(getattr(own, name) / getattr(other, name) for own, other in pairs)
        for name in ("own_us", "database_us", "wal_bytes")
    )
    return (
        f"processor time {ratio:.3f} ({low:.3f} to {high:.3f} with 95 % in {len(pairs)} rounds), of the process "
        f"{own_us:.3f}, of PostgreSQL {database_us:.3f} · write-ahead log {wal:.3f}"
    )


def _middle(ratios: list[float]) -> tuple[float, float, float]:
    """The median, between the limits of its confidence interval of 95 %: order statistics, a binomial distribution."""
    ordered, reach = sorted(ratios), 0.98 * math.sqrt(len(ratios))
    half = len(ratios) / 2
    return ordered[max(0, int(half - reach))], median(ordered), ordered[min(len(ratios) - 1, int(half + reach))]
