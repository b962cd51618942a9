"""Signals that race with waits while workers are killed: `python -m tests.flow_signals [RUNS] [SIGNALS]`.

Two processes run the workflows and are killed and started again; this process sends the signals. The report counts
signals that were lost, received twice or out of order, and the time from the commit of a signal to its receipt.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Sequence

from decant import loop
from decant.worker import run_forever
from decant.workflows import WorkflowRun, wait_for, workflow
from tests.worlds import execute, sweep_once

WORKERS = 2
KILLS_EVERY_S = 1.5


@workflow(max_retries=None)
async def receive(count: int) -> list[int]:
    """Receive signals of one topic."""
    return [await wait_for("number", int) for _ in range(count)]


def start_worker() -> int:
    """A worker in a process of its own; returns its process id."""
    child = os.fork()
    if child == 0:
        loop.run(run_forever(0.2))
        os._exit(0)
    return child


async def send(runs: Sequence[WorkflowRun], count: int) -> None:
    """Send numbers to all runs; every signal is sent twice with the same key."""
    for number in range(count):
        for run in runs:
            for _ in range(2):
                await run.send("number", number, id=str(number))


async def finished(runs: Sequence[WorkflowRun]) -> bool:
    """Whether all runs have ended; the leases of killed workers expire within 30 s."""
    await sweep_once()
    [row] = await execute("SELECT count(*) AS open FROM decant.task WHERE date_done IS NULL")
    return row["open"] == 0 and bool(runs)


async def received(runs: Sequence[WorkflowRun], count: int) -> tuple[int, int]:
    """Number of runs that have not received all signals once and in order, and of signals that were not taken."""
    expected = list(range(count))
    wrong = sum([(await run.status()).result != expected for run in runs])
    [row] = await execute("SELECT count(*) AS left FROM decant.signal WHERE NOT taken")
    return wrong, row["left"]


async def delays_ms() -> list[float]:
    """Time from each signal to its receipt, sorted."""
    rows = await execute("""
        SELECT CAST(extract(epoch FROM step.date_done - signal.date_created) * 1000 AS float8) AS ms
        FROM decant.signal JOIN decant.step
            ON step.task_id = signal.task_id AND CAST(step.result AS text) = CAST(signal.payload AS text)
        ORDER BY ms
    """)
    return [row["ms"] for row in rows]


def race(workers: list[int], count: int) -> tuple[int, list[WorkflowRun]]:
    """Send the signals while workers are killed, and wait for the end of all runs; returns the number of kills."""
    sender = os.fork()
    if sender == 0:
        loop.run(send([WorkflowRun(row["id"]) for row in loop.run(execute("SELECT id FROM run"))], count))
        os._exit(0)
    kills = 0
    while os.waitpid(sender, os.WNOHANG) == (0, 0):
        time.sleep(KILLS_EVERY_S)
        place = random.randrange(WORKERS)  # noqa: S311  # any worker
        os.kill(workers[place], signal.SIGKILL)
        os.waitpid(workers[place], 0)
        workers[place] = start_worker()
        kills += 1
    runs = [WorkflowRun(row["id"]) for row in loop.run(execute("SELECT id FROM run"))]
    while not loop.run(finished(runs)):
        loop.run(asyncio.sleep(0.5))
    return kills, runs


def main(run_count: int = 50, count: int = 20) -> int:
    """Race; returns the number of violations."""

    async def begin() -> list[str]:
        return [(await receive.start(count)).id for _ in range(run_count)]

    started = os.fork()
    if started == 0:  # this process must not have a loop or connections when it forks
        ids = loop.run(begin())
        loop.run(execute("CREATE TABLE run (id text NOT NULL)"))
        for run_id in ids:
            loop.run(execute("INSERT INTO run (id) VALUES (:id)", id=run_id))
        os._exit(0)
    os.waitpid(started, 0)
    workers = [start_worker() for _ in range(WORKERS)]
    try:
        kills, runs = race(workers, count)
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
    wrong, left = loop.run(received(runs, count))
    delays = loop.run(delays_ms())
    print(f"{run_count * count} signals, {kills} kills: {wrong} runs are wrong, {left} signals were not received")  # noqa: T201
    half, most = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    print(f"received after {half:.0f} ms (median), {most:.0f} ms (99 %, with the time of expired leases)")  # noqa: T201
    return wrong + left


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
