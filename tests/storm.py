"""A storm of kills: `python -m tests.storm 10000` on the migrated database of DATABASE_URL.

Every task writes one row with its own end. One in twenty kills the process that runs it, the first time: before it
writes, after it has written, or once it is done and its message not yet acknowledged. What the killed process was given
comes again, as SQS would bring it, and its leases run out. In the end each effect must be there exactly once.
"""

import os
import signal
import sys
import time
from collections import deque
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from decant import loop
from decant.tasks import current_run, task
from decant.worker.deadline import Deadline
from decant.worker.sqs_handler import handle
from decant.worker.sweeper import sweep
from tests.worlds import as_records, execute

__all__ = ["main"]

BATCH = 10
WORKERS = 2
ONE_IN = 20
_fork = get_context("fork")
_dies_after_batch = False


@task
async def effect(number: int, *, session: AsyncSession) -> int:
    """Writes its number, and may die of it."""
    global _dies_after_batch  # noqa: PLW0603  # heard by the worker below
    run = current_run()
    killer = number % ONE_IN == 0 and run is not None and run.request.attempt == 1
    point = number // ONE_IN % 3 if killer else None
    if point == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    await session.execute(text("INSERT INTO effect (number) VALUES (:number)"), {"number": number})
    if point == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if point == 2:
        _dies_after_batch = True
    return number


def work(pipe: Connection) -> None:
    """A worker: takes batches of ids until it is told to stop, or dies."""
    while ids := pipe.recv():
        loop.run(handle(as_records(ids), Deadline(60)))
        if _dies_after_batch:
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send("done")


class Worker:
    """A process, and the batch that it has in hand."""

    def __init__(self) -> None:
        self.pipe, theirs = _fork.Pipe()
        self.process = _fork.Process(target=work, args=(theirs,))
        self.process.start()
        theirs.close()
        self.batch: list[str] = []

    def give(self, batch: list[str]) -> None:
        """Hand over messages."""
        self.batch = batch
        self.pipe.send(batch)

    def is_done(self) -> bool:
        """Whether it said so, and has not died."""
        try:
            return bool(self.pipe.recv())
        except EOFError:
            self.process.join()
            return False


async def prepare(count: int) -> list[str]:
    """Enqueue the tasks; their ids."""
    await execute("CREATE TABLE effect (number integer NOT NULL)")
    jobs = await effect.delay_many([(number,) for number in range(count)])
    return [job.id for job in jobs]


async def run_out(ids: list[str]) -> list[str]:
    """Let the leases of a dead worker run out; the messages that come again."""
    await execute("UPDATE decant.task SET lease_expires_at = now() WHERE id = ANY(:ids) AND state = 'STARTED'", ids=ids)
    await sweep(Deadline(60))
    return ids


def storm(messages: deque[str]) -> int:
    """Let workers deal with all messages; how many died."""
    kills = 0
    workers = [Worker() for _ in range(WORKERS)]
    while messages or any(worker.batch for worker in workers):
        for worker in workers:
            if not worker.batch and messages:
                worker.give([messages.popleft() for _ in range(min(BATCH, len(messages)))])
        ready = set(wait([worker.pipe for worker in workers if worker.batch]))
        for place, worker in enumerate(workers):
            if worker.pipe not in ready:
                continue
            if worker.is_done():
                worker.batch = []
                continue
            kills += 1
            messages.extend(supervised(run_out(worker.batch)))
            workers[place] = Worker()
    for worker in workers:
        worker.pipe.send(None)
        worker.process.join()
    return kills


def supervised(work_: Any) -> Any:
    """Do something on the database between forks, and leave no connection open for a child to inherit."""

    async def do() -> Any:
        try:
            return await work_
        finally:
            await loop.close()

    return loop.run(do())


def main(count: int) -> int:
    """Raise the storm, print what is left, and return 1 when anything is amiss."""
    started = time.monotonic()
    kills = storm(deque(supervised(prepare(count))))
    (left,) = supervised(
        execute(
            "SELECT count(*) AS effects, count(DISTINCT number) AS different, "
            "(SELECT count(*) FROM decant.task WHERE state <> 'SUCCESS') AS stuck FROM effect"
        )
    )
    missing, double = count - left["different"], left["effects"] - left["different"]
    print(  # noqa: T201  # a command talks to a person
        f"{count} tasks, {kills} kills: {left['effects']} effects, {missing} missing, {double} double, "
        f"{left['stuck']} stuck; {time.monotonic() - started:.0f} s"
    )
    return 1 if missing or double or left["stuck"] else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1])))
