"""DBOS and Absurd, configured as their documentation recommends for async Python."""

import asyncio
from typing import Any

import absurdctl
import psycopg
from absurd_sdk import AsyncAbsurd
from dbos import (
    DBOS,
    AsyncSQLAlchemyDatasource,
)
from sqlalchemy import text

from decant_cloud.local.postgres import Postgres
from tests.benchmarks.workflows.system import STEPS, Measured, measure

__all__ = ["Absurd", "Dbos"]


def create_database(server: Postgres, name: str) -> str:
    """Create a database; returns its libpq address."""
    with psycopg.connect(_address(server.url()), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    return _address(server.url(name))


def _address(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


class Dbos:
    """DBOS: workflows are called directly, as its documentation shows.

    It runs during its own measures only: its threads would add a fifth to the processor time of the other systems.
    """

    def __init__(self, server: Postgres) -> None:
        self._address = address = create_database(server, "dbos")
        self._loop = asyncio.new_event_loop()
        self._workflow = DBOS.workflow(name="ten_steps")(_dbos_steps)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE TABLE effect (number integer)")
        self._source = self._loop.run_until_complete(
            AsyncSQLAlchemyDatasource.create(address.replace("postgresql:", "postgresql+psycopg:"))
        )
        insert = self._source.transaction(name="insert", isolation_level="READ COMMITTED")(self._insert)

        async def ten_transactions() -> int:
            return sum([await insert(number) for number in range(STEPS)])

        self._transactions = DBOS.workflow(name="ten_transactions")(ten_transactions)

    async def _insert(self, number: int) -> int:
        session = self._source.sql_session()
        await session.execute(text("INSERT INTO effect (number) VALUES (:number)"), {"number": number})
        return number

    def run(self, count: int, in_flight: int) -> Measured:
        """Run workflows whose steps do nothing."""
        return self._measure(self._workflow, count, in_flight)

    def run_in_transactions(self, count: int, in_flight: int) -> Measured:
        """Run workflows whose steps insert a row."""
        return self._measure(self._transactions, count, in_flight)

    def _measure(self, workflow: Any, count: int, in_flight: int) -> Measured:
        DBOS(config={"name": "bench", "system_database_url": self._address, "log_level": "ERROR"})
        DBOS.launch()
        try:
            self._loop.run_until_complete(self._run(workflow, 20, 20))
            return self._loop.run_until_complete(measure(count, self._run(workflow, count, in_flight)))
        finally:
            DBOS.destroy()

    async def _run(self, workflow: Any, count: int, in_flight: int) -> None:
        gate = asyncio.Semaphore(in_flight)

        async def one() -> None:
            async with gate:
                await workflow()

        await asyncio.gather(*(one() for _ in range(count)))

    def close(self) -> None:
        """Its connections are closed."""


@DBOS.step()  # type: ignore[untyped-decorator]  # its environment has the types
async def _dbos_nothing(number: int) -> int:
    return number


async def _dbos_steps() -> int:
    return sum([await _dbos_nothing(number) for number in range(STEPS)])


class Absurd:
    """Absurd: a worker and a connection for every workflow in flight; fewer workers were slower."""

    def __init__(self, server: Postgres) -> None:
        self._address = create_database(server, "absurd")
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(absurdctl.BUNDLED_SCHEMA_SQL)
            connection.execute("SELECT absurd.create_queue('default')")
        self._loop = asyncio.new_event_loop()
        self.run(20, 20)

    def run(self, count: int, in_flight: int) -> Measured | None:
        """Run workflows whose steps do nothing."""
        return self._loop.run_until_complete(self._run(count, in_flight))

    async def _run(self, count: int, in_flight: int) -> Measured:
        done, finished = asyncio.Event(), 0

        async def ten_steps(_params: Any, context: Any) -> int:
            nonlocal finished
            total = 0
            for number in range(STEPS):

                async def nothing(number: int = number) -> int:
                    return number

                total += await context.step(f"nothing-{number}", nothing)
            finished += 1
            if finished == count:
                done.set()
            return total

        workers = [AsyncAbsurd(self._address) for _ in range(in_flight)]
        for worker in workers:
            worker.register_task("ten_steps")(ten_steps)
        for _ in range(count):
            await workers[0].spawn("ten_steps", {})

        async def work() -> None:
            running = [asyncio.create_task(worker.start_worker(poll_interval=0.01)) for worker in workers]
            await done.wait()
            for worker in workers:
                worker.stop_worker()
            await asyncio.gather(*running)

        measured = await measure(count, work())
        for worker in workers:
            await worker.close()
        return measured

    def run_in_transactions(self, count: int, in_flight: int) -> Measured | None:  # noqa: ARG002  # of the protocol
        """It has no steps in the user's transaction."""
        return None

    def close(self) -> None:
        """Its connections are closed."""
