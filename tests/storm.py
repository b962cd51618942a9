"""A storm of faults: `python -m tests.storm 10000` on the migrated database of DATABASE_URL.

Tasks of all kinds run on workers as in Lambda and on workers with `run_forever`, of two versions of the code and with
clocks five minutes apart. One task in twenty kills its worker. A tenth of the messages is lost and a tenth delivered
twice, SQS is unavailable for a time, and PostgreSQL is killed and restarted. Every effect must exist once afterwards.
"""

import heapq
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.connection import wait
from typing import Any
from uuid import UUID

from decant import loop, runtime
from decant.tasks.admin import redrive
from decant.tasks.publish import decode_message
from decant.tasks.store import TRANSIENT
from decant.worker.dead_letters import close_dead_lettered
from decant.worker.execution import Deadline
from decant.worker.sweeper import sweep
from tests import storm_tasks
from tests.storm_processes import ForeverWorker, LambdaWorker, Message, Sqs
from tests.storm_tasks import KILLS_ONE_IN
from tests.worlds import execute

__all__ = ["main"]

_BATCH = 10
_LAMBDA_WORKERS = 3
_FOREVER_WORKERS = 2
_MOST_RECEIVES = 5
_LOST = 0.1
_DUPLICATED = 0.1
_SWEEP_EVERY_S = 1.0
_UNAVAILABLE_S = 4.0

_UNFINISHED = """
    SELECT count(*) AS count FROM decant.task
    WHERE state IN ('FAILURE', 'REVOKED') OR date_done IS NULL AND (name <> 'storm.tick' OR eta <= :until)
"""


class Storm:
    """The coordinator: SQS's deliveries, the workers, the sweeper and the faults.

    Args:
        count: Number of numbered tasks.
        restart: Kills PostgreSQL and starts it again; None cuts all connections instead.
    """

    def __init__(self, count: int, restart: Callable[[], None] | None) -> None:
        self._count = count
        self._restart = restart
        self._random = random.Random(count)  # noqa: S311  # no secret
        self._messages: list[tuple[float, int, Message]] = []
        self._dead: list[Message] = []
        self._orphans = list[UUID]()
        self._hurry = False
        self._started = 0
        self.counts: Counter[str] = Counter()
        self._sqs = Sqs()
        os.environ["TASK_QUEUE_URLS"] = f"default={self._sqs.url}"
        runtime.current().reload()
        self._sweep_at = 0.0
        self._faults = [
            (0.2, self._stop_sqs),
            (0.4, self._kill_postgres),
            (0.6, self._stop_sqs),
            (0.8, self._kill_postgres),
        ]
        self._sqs_back_at = 0.0

    def run(self) -> int:
        """Run all tasks; returns the number of chords."""
        chords: int = self._supervised(storm_tasks.enqueue(self._count))
        lambdas = [LambdaWorker(self._number(), place) for place in range(_LAMBDA_WORKERS)]
        forever = [ForeverWorker(self._number(), place) for place in range(_FOREVER_WORKERS)]
        left = self._count
        while left:
            self._receive()
            self._deliver(lambdas)
            self._collect(lambdas)
            self._replace(forever)
            left = self._sweep(left, [*lambdas, *forever])
        workers: list[LambdaWorker | ForeverWorker] = [*lambdas, *forever]
        for process in [worker.process for worker in workers]:
            process.kill()
            process.join()
        self._sqs.stop()
        return chords

    def _number(self) -> int:
        self._started += 1
        return self._started

    def _receive(self) -> None:
        for at, body in self._sqs.received():
            chance = self._random.random()
            if chance < _LOST:
                self.counts["lost"] += 1
                continue
            self._put((body, 0), at)
            if chance < _LOST + _DUPLICATED:
                self.counts["duplicated"] += 1
                self._put((body, 0), at)

    def _put(self, message: Message, at: float) -> None:
        heapq.heappush(self._messages, (at, self._random.getrandbits(64), message))

    def _deliver(self, workers: list[LambdaWorker]) -> None:
        for place, worker in enumerate(workers):
            if not worker.batch and not worker.process.is_alive():
                self.counts["kills"] += 1
                workers[place] = worker = LambdaWorker(self._number(), place)  # noqa: PLW2901  # in its place
            batch: list[Message] = []
            while (
                not worker.batch and len(batch) < _BATCH and self._messages and self._messages[0][0] <= time.monotonic()
            ):
                batch.append(heapq.heappop(self._messages)[2])
            if batch:
                worker.give(batch)

    def _collect(self, workers: list[LambdaWorker]) -> None:
        ready = set(wait([worker.pipe for worker in workers if worker.batch], timeout=0.05))
        for place, worker in enumerate(workers):
            if worker.pipe not in ready:
                continue
            failed = worker.failures()
            if failed is None:
                self.counts["kills"] += 1
                self._orphans += [task_id for body, _ in worker.batch if (task_id := decode_message(body))]
                failed, workers[place] = worker.batch, LambdaWorker(self._number(), place)
            worker.batch = []
            for body, receives in failed:
                if receives + 1 < _MOST_RECEIVES:
                    self._put((body, receives + 1), time.monotonic() + 0.5)
                else:
                    self._dead.append((body, receives + 1))

    def _replace(self, workers: list[ForeverWorker]) -> None:
        for place, worker in enumerate(workers):
            if not worker.process.is_alive():
                self.counts["kills"] += 1
                self._hurry = True
                workers[place] = ForeverWorker(self._number(), place)

    def _sweep(self, left: int, workers: list[LambdaWorker | ForeverWorker]) -> int:
        """Sweep, close dead-lettered tasks and redrive once a second; returns the number of unfinished tasks."""
        now = time.monotonic()
        self._sqs.set_unavailable(unavailable=now < self._sqs_back_at)
        if now < self._sweep_at:
            return left
        self._sweep_at = now + _SWEEP_EVERY_S
        try:
            left = self._supervised(self._administer())
        except (*TRANSIENT, ExceptionGroup):
            self.counts["sweeps without a database"] += 1
        if self.counts["kills"] < self._count // KILLS_ONE_IN:
            self._random.choice(workers).process.kill()
        if self._faults and 1 - left / self._count > self._faults[0][0]:
            self._faults.pop(0)[1]()
        return left

    async def _administer(self) -> int:
        expire = "UPDATE decant.task SET lease_expires_at = now() WHERE id = ANY(:ids) AND state = 'STARTED'"
        await execute(expire, ids=self._orphans)
        self._orphans.clear()
        if self._hurry:  # those of `run_forever` are renewed in time
            shorten = "UPDATE decant.task SET lease_expires_at = least(lease_expires_at, now() + interval '2 seconds')"
            await execute(f"{shorten} WHERE state = 'STARTED'")
            self._hurry = False
        await sweep(Deadline(60))
        records = [{"messageId": "m", "body": body, "attributes": {}} for body, _ in self._dead]
        await close_dead_lettered(records)
        self.counts["dead-lettered"] += len(records)
        self._dead.clear()
        self.counts["redriven"] += len(await redrive(since=datetime.fromtimestamp(0, UTC)))
        (row,) = await execute(_UNFINISHED, until=datetime.now(UTC) - timedelta(seconds=1))
        return int(row["count"])

    def _stop_sqs(self) -> None:
        self.counts["SQS outages"] += 1
        self._sqs_back_at = time.monotonic() + _UNAVAILABLE_S

    def _kill_postgres(self) -> None:
        self.counts["PostgreSQL restarts"] += 1
        if self._restart is not None:
            self._restart()
        else:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            self._supervised(execute(f"{cut} AND pid <> pg_backend_pid()"))

    def _supervised(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine, and close its connections, which a forked worker would inherit."""

        async def run() -> Any:
            try:
                return await work
            finally:
                await loop.close()

        return loop.run(run())


async def _check(count: int, chords: int) -> dict[str, int]:
    """Compare the effects with those that must exist."""
    rows = await execute("SELECT key, count(*) AS count FROM effect GROUP BY key")
    found = {row["key"]: row["count"] for row in rows}
    ticks = await execute("SELECT id, state FROM decant.task WHERE name = 'storm.tick'")
    done = [row["id"] for row in ticks if row["state"] == "SUCCESS"]
    seconds = sorted(row["id"].int >> 80 for row in ticks)  # a UUIDv7 begins with the milliseconds of the tick
    gaps = sum(round((later - earlier) / 1000) - 1 for earlier, later in pairwise(seconds))
    expected = {str(number) for number in range(count)} | {f"tick {task_id}" for task_id in done}
    bodies = [key for key in found if key.startswith("chord ")]
    (stuck,) = await execute(_UNFINISHED, until=datetime.fromtimestamp(0, UTC))
    return {
        "effects": sum(found.values()),
        "missing": len(expected - found.keys()) + chords - len(bodies) + gaps,
        "double": sum(found.values()) - len(found),
        "stuck": int(stuck["count"]),
        "ticks": len(done),
    }


def main(count: int, restart: Callable[[], None] | None = None) -> int:
    """Run the storm, print its figures, and return 1 when an effect is missing or duplicated, or a task is stuck."""
    started = time.monotonic()
    os.environ |= {"TASK_REPUBLISH_AFTER_S": "3", "TASK_HEARTBEAT_S": "0.5", "DATABASE_CONNECT_TIMEOUT_S": "2"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "storm", "AWS_SECRET_ACCESS_KEY": "storm", "AWS_REGION": "us-east-1"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STORM_FOLDER"] = folder
        storm = Storm(count, restart)
        loop.run(execute("CREATE TABLE effect (key text NOT NULL)"))
        loop.run(loop.close())
        chords = storm.run()
    figures = loop.run(_check(count, chords))
    counts = ", ".join(f"{number} {name}" for name, number in sorted(storm.counts.items()) if name != "kills")
    print(  # noqa: T201  # a command
        f"{count} tasks, {storm.counts['kills']} kills: {figures['effects']} effects, {figures['missing']} missing, "
        f"{figures['double']} double, {figures['stuck']} stuck; {chords} chords, {figures['ticks']} ticks, {counts}; "
        f"{time.monotonic() - started:.0f} s"
    )
    return 1 if figures["missing"] or figures["double"] or figures["stuck"] else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1])))
