"""Measure one system in a process of its own: `python -m tests.benchmarks.queues.side SYSTEM URL MEASURE`.

Prints the result as a line of JSON. Another process of this module is the worker whose latency is measured; the clock,
which has its zero at the machine's start, is the same in both.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from statistics import quantiles

import asyncpg

from tests.benchmarks.queues.systems import SYSTEMS, System

__all__ = ["MEASURES"]

BULK, ONE_BY_ONE, LATENCIES, WAL_COUNT = 10_000, 1_000, 300, 2_000
_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'"
_SPACING_S = 0.02
PRODUCED_PER_S = 200.0


class Runs:
    """What the worker of this process has run.

    Attributes:
        first_s: Time of the first run.
        delays_s: Time from the enqueue of each task to its run.
    """

    def __init__(self) -> None:
        self.first_s = 0.0
        self.delays_s: list[float] = []

    def ran(self, enqueued_s: float) -> None:
        """Count a run."""
        now = time.monotonic()
        self.first_s = self.first_s or now
        self.delays_s.append(now - enqueued_s)


async def bulk(system: System, _url: str, _runs: Runs) -> float:
    """Tasks per second that are enqueued together."""
    started = time.monotonic()
    await system.enqueue_many([0.0] * BULK)
    return BULK / (time.monotonic() - started)


async def one_by_one(system: System, _url: str, _runs: Runs) -> float:
    """Tasks per second that are enqueued one after another."""
    await system.enqueue(0.0)
    started = time.monotonic()
    for _ in range(ONE_BY_ONE):
        await system.enqueue(0.0)
    return ONE_BY_ONE / (time.monotonic() - started)


def drain(count: int, *, held: bool = False) -> Callable[[System, str, Runs], Awaitable[float]]:
    """Tasks per second that a worker runs, from the first run to the last end in the database.

    Args:
        count: Number of tasks.
        held: A transaction is open meanwhile, so that PostgreSQL keeps all dead rows and index entries.
    """

    async def measure(system: System, url: str, runs: Runs) -> float:
        for _ in range(0, count, 1_000):
            await system.enqueue_many([0.0] * 1_000)
        connection = await asyncpg.connect(url)
        await connection.execute("CHECKPOINT")
        async with opened(url, held=held), working(system):
            while len(runs.delays_s) < count:  # noqa: ASYNC110  # the systems have no common event
                await asyncio.sleep(0.005)
            while await connection.fetchval(system.unfinished):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            seconds = time.monotonic() - runs.first_s
        await connection.close()
        return count / seconds

    return measure


async def wal(system: System, url: str, runs: Runs) -> list[float]:
    """Bytes of the write-ahead log for the enqueue of a task, and for its run: they do not depend on the load."""
    connection = await asyncpg.connect(url)
    positions = [await connection.fetchval(_WAL)]
    await system.enqueue_many([0.0] * WAL_COUNT)
    positions.append(await connection.fetchval(_WAL))
    async with working(system):
        while len(runs.delays_s) < WAL_COUNT or await connection.fetchval(system.unfinished):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    positions.append(await connection.fetchval(_WAL))
    await connection.close()
    return [float(after - before) / WAL_COUNT for before, after in pairwise(positions)]


async def latency(system: System, url: str, _runs: Runs) -> list[float]:
    """Median and 99th percentile of the milliseconds from the call that enqueues to the run in another process."""
    command = [sys.executable, "-m", __spec__.name, sys.argv[1], url, "worker"]
    worker = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert worker.stdout is not None
    try:
        await worker.stdout.readline()
        await asyncio.sleep(2)  # it listens by then
        for _ in range(LATENCIES):
            await system.enqueue(time.monotonic())
            await asyncio.sleep(_SPACING_S)
        result: list[float] = json.loads(await worker.stdout.readline())
    finally:
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
    return result


async def worker(system: System, _url: str, runs: Runs) -> list[float]:
    """The worker of `latency`."""
    async with working(system):
        print(flush=True)
        while len(runs.delays_s) < LATENCIES:  # noqa: ASYNC110  # the systems have no common event
            await asyncio.sleep(0.05)
    parts = quantiles(runs.delays_s, n=100)
    return [1e3 * parts[49], 1e3 * parts[98]]


async def produce(system: System, _url: str, _runs: Runs) -> int:
    """Enqueue at a fixed rate until SIGTERM; SIGUSR1 doubles the rate, and SIGUSR2 restores it.

    Returns:
        Number of tasks that were enqueued; those for which the database did not respond are not counted.
    """
    loop, ended, rate, done = asyncio.get_running_loop(), asyncio.Event(), PRODUCED_PER_S, 0

    def produce_at(other: float) -> None:
        nonlocal rate
        rate = other

    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: produce_at(rate * 2))
    loop.add_signal_handler(signal.SIGUSR2, lambda: produce_at(PRODUCED_PER_S))
    print(flush=True)
    credit, last = 0.0, time.monotonic()
    while not ended.is_set():
        now = time.monotonic()
        credit, last = min(credit + rate * (now - last), rate), now
        if (count := int(credit)) > 0:
            credit -= count
            try:
                await system.enqueue_many([0.0] * count)
            except Exception:  # noqa: BLE001  # those of all drivers
                await asyncio.sleep(0.2)
            else:
                done += count
        await asyncio.sleep(0.02)
    return done


async def serve(system: System, _url: str, _runs: Runs) -> None:
    """Run tasks until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with working(system):
        print(flush=True)
        await ended.wait()


@asynccontextmanager
async def opened(url: str, *, held: bool) -> AsyncIterator[None]:
    """Hold a transaction with its snapshot open inside the block, if so asked."""
    if not held:
        yield
        return
    connection = await asyncpg.connect(url)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute("SELECT count(*) FROM pg_class")
        yield
    await connection.close()


@asynccontextmanager
async def working(system: System) -> AsyncIterator[None]:
    """Run tasks inside the block."""
    work = asyncio.ensure_future(system.work())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait({work}, timeout=10)


MEASURES: dict[str, Callable[[System, str, Runs], Awaitable[object]]] = {
    "5,000": drain(5_000),
    "30,000": drain(30_000),
    "held": drain(30_000, held=True),
    "one by one": one_by_one,
    "bulk": bulk,
    "wal": wal,
    "latency": latency,
    "produce": produce,
    "serve": serve,
    "worker": worker,
}


async def main(name: str, url: str, measure: str) -> None:
    """Print a measure of a system."""
    runs = Runs()
    system = SYSTEMS[name](url)
    await system.prepare(runs.ran)
    print(json.dumps(await MEASURES[measure](system, url, runs)), flush=True)
    await system.close()


if __name__ == "__main__":
    if sys.argv[1].startswith("Decant"):
        from decant import loop

        loop.run(main(*sys.argv[1:4]))
    else:
        import uvloop

        uvloop.run(main(*sys.argv[1:4]))
