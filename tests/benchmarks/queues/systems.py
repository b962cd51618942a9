"""Task queues on PostgreSQL behind one interface: each as its documentation recommends, with a task that does nothing.

A process imports one of them.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
        from decant import db
        from decant.db.migrations import migrate
        from decant.tasks import task

        await migrate(Path("no-migrations-of-an-app"))
        await db.execute("SELECT 1", {})  # the pools of the other systems are connected here as well

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


class _Peer:
    def __init__(self, url: str, concurrency: int) -> None:
        self._url = url
        self._concurrency = concurrency


class PgQueuer(_Peer):
    """pgqueuer with a pool; `concurrency` 0 is its default, without a limit."""

    name = "pgqueuer"
    unfinished = "SELECT count(*) FROM pgqueuer"
    finished = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"

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


class Procrastinate(_Peer):
    """procrastinate with psycopg."""

    name = "procrastinate"
    unfinished = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    finished = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"

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


class Oban(_Peer):
    """oban with its own pool; the queue has the limit `concurrency`."""

    name = "oban"
    unfinished = "SELECT count(*) FROM oban_jobs WHERE state NOT IN ('completed', 'cancelled', 'discarded')"
    finished = "SELECT count(*) FROM oban_jobs WHERE state = 'completed'"

    async def prepare(self, ran: Ran) -> None:
        import oban
        from oban.schema import install

        self._pool = await oban.Oban.create_pool(self._url)
        self._client = oban.Oban(pool=self._pool)
        if not await self._client._query.verify_structure():  # `install` fails where it has run
            await install(self._pool)

        @oban.worker(queue="default")
        class Noop:
            async def process(self, job: Any) -> None:
                ran(job.args["value"])

        self._worker: Any = Noop

    async def enqueue(self, value: float) -> object:
        return await self._client.enqueue(self._worker.new({"value": value}))

    async def enqueue_many(self, values: Sequence[float]) -> object:
        return await self._client.enqueue_many(self._worker.new({"value": value}) for value in values)

    async def work(self) -> None:
        from oban import Oban as Application

        async with Application(pool=self._pool, queues={"default": self._concurrency}):
            await asyncio.Event().wait()

    async def close(self) -> object:
        return await self._pool.close()


@dataclass
class Noop:
    """Arguments of awa's task; awa reads the annotations of this class."""

    value: float


class Awa(_Peer):
    """awa with its queue storage, which its first worker makes the active one."""

    name = "awa-pg"
    # Its view `awa.jobs` takes more than 20 s to count 5,000 tasks.
    finished = "SELECT coalesce(sum(completed_count), 0)::bigint FROM awa.receipt_completion_batches"
    unfinished = f"SELECT (SELECT count(*) FROM awa.ready_entries) - ({finished})"  # noqa: S608  # a constant

    async def prepare(self, ran: Ran) -> None:
        import awa

        self._client = awa.AsyncClient(self._url)
        await self._client.migrate()
        await self._client.install_queue_storage()

        @self._client.task(Noop)  # type: ignore[untyped-decorator]
        async def noop(job: Any) -> None:
            ran(job.args.value)

    async def enqueue(self, value: float) -> object:
        return await self._client.insert(Noop(value))

    async def enqueue_many(self, values: Sequence[float]) -> object:
        return await self._client.enqueue_many_copy([Noop(value) for value in values])

    async def work(self) -> None:
        await self._client.start([("default", self._concurrency)])
        try:
            await asyncio.Event().wait()
        finally:
            await self._client.shutdown()

    async def close(self) -> object:
        return await self._client.close()


SYSTEMS: dict[str, Callable[[str], System]] = {
    "Decant": lambda url: Decant(url, CONCURRENCY),
    "Decant, 1,000 at once": lambda url: Decant(url, UNLIMITED),
    "Decant, limited": lambda url: Decant(url, CONCURRENCY, rate_limit=1_000_000, concurrency=2 * CONCURRENCY),
    "pgqueuer": lambda url: PgQueuer(url, CONCURRENCY),
    "pgqueuer, no limit": lambda url: PgQueuer(url, 0),
    "procrastinate": lambda url: Procrastinate(url, CONCURRENCY),
    "oban": lambda url: Oban(url, CONCURRENCY),
    "awa": lambda url: Awa(url, CONCURRENCY),
}
