"""Task queues on PostgreSQL behind one interface: each as its documentation recommends, with a task that does nothing.

A process imports one of them.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import asyncpg

__all__ = ["SYSTEMS", "System"]

CONCURRENCY = 100
UNLIMITED = 1_000

type Ran = Callable[[float], object]
"""Called by every run with the argument of the call."""


class System(Protocol):
    """A queue of one database.

    Attributes:
        name: Name of the distribution on the package index.
        unfinished: Statement that counts the tasks whose end is not recorded.
        finished: Statement that counts the tasks that were run to their end.
    """

    name: str
    unfinished: str
    finished: str

    async def prepare(self, ran: Ran) -> None:
        """Create the tables, unless they exist, and connect."""

    async def enqueue(self, value: float) -> object:
        """Enqueue a task; it is on disk when this returns."""

    async def enqueue_many(self, values: Sequence[float]) -> object:
        """Enqueue tasks together."""

    async def work(self) -> object:
        """Run tasks until cancelled."""

    async def close(self) -> object:
        """Disconnect."""


class Decant:
    """Decant with `run_forever`, and no SQS; `options` are those of the task."""

    name = "decant-flask"
    unfinished = "SELECT count(*) FROM decant.task WHERE date_done IS NULL"
    finished = "SELECT count(*) FROM decant.task WHERE state = 'SUCCESS'"

    def __init__(self, url: str, at_once: int, **options: Any) -> None:
        self._options = options
        os.environ |= {"DATABASE_URL": url, "TASK_CONCURRENCY": str(at_once), "LOG_LEVEL": "WARNING"}

    async def prepare(self, ran: Ran) -> None:
        from decant.db.migrations import migrate
        from decant.tasks import task

        await migrate(Path("no-migrations-of-an-app"))

        @task(name="noop", **self._options)
        async def noop(value: float) -> None:
            ran(value)

        self._task = noop

    async def enqueue(self, value: float) -> object:
        return await self._task.delay(value)

    async def enqueue_many(self, values: Sequence[float]) -> object:
        return await self._task.delay_many([(value,) for value in values])

    async def work(self) -> object:
        from decant.worker import run_forever

        await run_forever()
        return None

    async def close(self) -> None:
        from decant import loop

        await loop.close()


class PgQueuer:
    """pgqueuer with a pool; `concurrency` 0 is its default, without a limit."""

    name = "pgqueuer"
    unfinished = "SELECT count(*) FROM pgqueuer"
    finished = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"

    def __init__(self, url: str, concurrency: int) -> None:
        self._url = url
        self._concurrency = concurrency

    async def prepare(self, ran: Ran) -> None:
        from pgqueuer import PgQueuer as Application
        from pgqueuer import Queries

        self._pool = await asyncpg.create_pool(self._url, min_size=5, max_size=5)
        self._application = Application.from_asyncpg_pool(self._pool)
        self._queries = Queries.from_asyncpg_pool(self._pool)
        with suppress(asyncpg.DuplicateObjectError, asyncpg.DuplicateTableError):
            await self._queries.install()

        @self._application.entrypoint("noop")  # type: ignore[untyped-decorator]
        async def noop(job: Any) -> None:
            ran(float(job.payload))

    async def enqueue(self, value: float) -> object:
        return await self._queries.enqueue("noop", str(value).encode())

    async def enqueue_many(self, values: Sequence[float]) -> object:
        payloads: list[bytes | None] = [str(value).encode() for value in values]
        return await self._queries.enqueue(["noop"] * len(values), payloads, [0] * len(values))

    async def work(self) -> object:
        batch = 50 if self._concurrency else 100
        return await self._application.run(batch_size=batch, max_concurrent_tasks=self._concurrency or None)

    async def close(self) -> object:
        return await self._pool.close()


class Procrastinate:
    """procrastinate with psycopg."""

    name = "procrastinate"
    unfinished = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    finished = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"

    def __init__(self, url: str, concurrency: int) -> None:
        self._url = url
        self._concurrency = concurrency

    async def prepare(self, ran: Ran) -> None:
        import procrastinate

        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=self._url, max_size=4))
        await self._app.open_async()
        if not await self._app.check_connection_async():
            await self._app.schema_manager.apply_schema_async()

        @self._app.task(name="noop")  # type: ignore[untyped-decorator]
        async def noop(value: float) -> None:
            ran(value)

        self._task = noop

    async def enqueue(self, value: float) -> object:
        return await self._task.defer_async(value=value)

    async def enqueue_many(self, values: Sequence[float]) -> object:
        return await self._task.batch_defer_async(*[{"value": value} for value in values])

    async def work(self) -> object:
        return await self._app.run_worker_async(concurrency=self._concurrency, install_signal_handlers=False)

    async def close(self) -> object:
        return await self._app.close_async()


SYSTEMS: dict[str, Callable[[str], System]] = {
    "Decant": lambda url: Decant(url, CONCURRENCY),
    "Decant, 1,000 at once": lambda url: Decant(url, UNLIMITED),
    "Decant, limited": lambda url: Decant(url, CONCURRENCY, rate_limit=1_000_000, concurrency=2 * CONCURRENCY),
    "pgqueuer": lambda url: PgQueuer(url, CONCURRENCY),
    "pgqueuer, no limit": lambda url: PgQueuer(url, 0),
    "procrastinate": lambda url: Procrastinate(url, CONCURRENCY),
}
