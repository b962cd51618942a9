"""Run queues under faults and pressure, and report whether tasks were lost: `make bench-queues STRESS=1`.

A producer enqueues at a fixed rate, and two worker processes run the tasks, before, during and after the stress. Then
the producer stops, and all tasks must be run. The scenarios are those of a public benchmark of eight queues on
PostgreSQL, in seconds in place of minutes.

Source: https://github.com/hardbyte/postgresql-job-queue-benchmarking, docs/method.md.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from decant_cloud.local.postgres import Postgres, temporary_postgres
from tests.benchmarks.queues.systems import SYSTEMS

WORKERS, STEADY_S, STRESS_S = 2, 5, 10
_DRAIN_S = 120  # a task whose worker was killed runs again when its lease has expired
_READY_S, _EXIT_S = 60, 10
_IDLE_CONNECTIONS, _READERS = 300, 4
_CONNECTIONS = 360


class Fleet:
    """A producer and workers of one system, each a process.

    Attributes:
        described: The system, not connected.

    Args:
        system: Name of the system.
        postgres: The server.
        database: Name of the database.
        log: File for the output of the processes.
    """

    def __init__(self, system: str, postgres: Postgres, database: str, log: Path) -> None:
        self.postgres = postgres
        self.url = postgres.url(database).replace("+asyncpg", "")
        self._system = system
        self.described = SYSTEMS[system]("")
        self._log = log
        self.producer = self._start("produce")
        self.workers = [self._start("serve") for _ in range(WORKERS)]

    def _start(self, measure: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.benchmarks.queues.side", self._system, self.url, measure]
        with self._log.open("a") as output:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True)
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
        return process

    def restart_worker(self) -> None:
        """Kill a worker, and start another."""
        self.workers[0].kill()
        self.workers[0].wait()
        self.workers[0] = self._start("serve")

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to the database."""
        return psycopg.connect(self.url, autocommit=True)

    def count(self, statement: str) -> int:
        """The number that a statement returns."""
        with self.connect() as connection:
            (number,) = connection.execute(statement.encode()).fetchone() or (0,)
        return int(number)

    def rate(self, seconds: float) -> float:
        """Tasks per second that are finished meanwhile."""
        before = self.count(self.described.finished)
        time.sleep(seconds)
        return (self.count(self.described.finished) - before) / seconds

    def stop_producing(self) -> int:
        """Stop the producer; returns the number of tasks that were enqueued."""
        self.producer.terminate()
        output, _ = self.producer.communicate(timeout=_READY_S)
        return int(output)

    def drain(self) -> float:
        """Wait until nothing is left to run; returns the seconds."""
        started = time.monotonic()
        while self.count(self.described.unfinished) and time.monotonic() < started + _DRAIN_S:
            time.sleep(0.2)
        return time.monotonic() - started

    def finished(self) -> int:
        """Number of tasks that were run to their end."""
        return self.count(self.described.finished)

    def exit(self) -> bool:
        """End the workers; whether they ended in time."""
        for worker in self.workers:
            worker.terminate()
        with suppress(subprocess.TimeoutExpired):
            for worker in self.workers:
                worker.wait(_EXIT_S)
        return all(worker.poll() is not None for worker in self.workers)

    def kill(self) -> None:
        """Kill what still runs."""
        for process in (self.producer, *self.workers):
            if process.poll() is None:
                process.kill()
            process.communicate()


def _crash(fleet: Fleet) -> None:
    fleet.restart_worker()
    time.sleep(STRESS_S)


def _repeated_kills(fleet: Fleet) -> None:
    ends = time.monotonic() + STRESS_S
    while time.monotonic() < ends:
        fleet.restart_worker()
        time.sleep(STRESS_S / 5)


def _postgres_restart(fleet: Fleet) -> None:
    fleet.postgres.stop()
    time.sleep(STRESS_S / 4)
    fleet.postgres.start()
    time.sleep(STRESS_S / 2)


def _backend_kill(fleet: Fleet) -> None:
    ends = time.monotonic() + STRESS_S
    with fleet.connect() as connection:
        while time.monotonic() < ends:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY random() LIMIT 1"
            )
            time.sleep(0.5)


def _pool_exhaustion(fleet: Fleet) -> None:
    with ExitStack() as held:
        for _ in range(_IDLE_CONNECTIONS):
            held.enter_context(fleet.connect())
        time.sleep(STRESS_S)


def _idle_in_transaction(fleet: Fleet) -> None:
    with fleet.connect() as connection, connection.transaction():
        connection.execute("SELECT txid_current()")
        time.sleep(STRESS_S)


def _active_readers(fleet: Fleet) -> None:
    stop = threading.Event()

    def read() -> None:
        with fleet.connect() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            while not stop.is_set():
                connection.execute(fleet.described.unfinished.encode())
                time.sleep(0.1)

    readers = [threading.Thread(target=read) for _ in range(_READERS)]
    for reader in readers:
        reader.start()
    time.sleep(STRESS_S)
    stop.set()
    for reader in readers:
        reader.join()


def _load(signals: int) -> Callable[[Fleet], None]:
    """The producer's rate is doubled so many times."""

    def stress(fleet: Fleet) -> None:
        for _ in range(signals):
            fleet.producer.send_signal(signal.SIGUSR1)
            time.sleep(0.1)
        time.sleep(STRESS_S)
        fleet.producer.send_signal(signal.SIGUSR2)

    return stress


SCENARIOS: dict[str, Callable[[Fleet], None]] = {
    "a worker is killed": _crash,
    "workers are killed repeatedly": _repeated_kills,
    "PostgreSQL is restarted": _postgres_restart,
    "connections are terminated": _backend_kill,
    "300 idle connections": _pool_exhaustion,
    "a transaction is held open": _idle_in_transaction,
    "twice the load": _load(1),
    "four readers with old snapshots": _active_readers,
    "a burst of eight times the load": _load(3),
}


@dataclass(frozen=True)
class Result:
    """What a scenario came to.

    Attributes:
        ratio: Rate in the stress over the rate before.
        drain_s: Seconds from the end of the producer until nothing was left.
        lost: Tasks that were enqueued and not run.
        exited: Whether the workers ended after SIGTERM.
    """

    ratio: float
    drain_s: float
    lost: int
    exited: bool

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, and the workers ended."""
        return self.lost == 0 and self.exited


def measure(system: str, postgres: Postgres, database: str, scenario: str, log: Path) -> Result:
    """Run one scenario."""
    with _database(postgres, database):
        fleet = Fleet(system, postgres, database, log)
        try:
            time.sleep(1)
            steady = fleet.rate(STEADY_S)
            before, started = fleet.finished(), time.monotonic()
            SCENARIOS[scenario](fleet)
            stressed = (fleet.finished() - before) / (time.monotonic() - started)
            time.sleep(STEADY_S)
            enqueued = fleet.stop_producing()
            drain_s = fleet.drain()
            lost = max(0, enqueued - fleet.finished())
            return Result(stressed / steady if steady else 0, drain_s, lost, fleet.exit())
        finally:
            fleet.kill()


@contextmanager
def _database(postgres: Postgres, name: str) -> Iterator[None]:
    address = postgres.url().replace("+asyncpg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield
    finally:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def main() -> int:
    """Print a table; returns 1 when Decant lost a task."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.queues.stress", description=__doc__)
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=["Decant"])
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="a scenario; may be repeated")
    given = parser.parse_args()
    console, table = Console(width=120), Table("scenario", *given.systems)
    failed = False
    with (
        tempfile.TemporaryDirectory() as scratch,
        temporary_postgres({"max_connections": str(_CONNECTIONS)}) as postgres,
    ):
        log = Path(scratch) / "processes.log"
        for number, scenario in enumerate(given.only or SCENARIOS):
            cells = []
            for place, system in enumerate(given.systems):
                console.print(f"{scenario}: {system}", style="dim")
                result = measure(system, postgres, f"stress_{number}_{place}", scenario, log)
                failed |= system.startswith("Decant") and not result.passed
                cells.append(_cell(result))
            table.add_row(scenario, *cells)
        if failed:
            console.print(log.read_text()[-3_000:])
    console.print(table)
    names = sorted({SYSTEMS[system]("").name for system in given.systems} - {"decant-flask"})
    console.print(", ".join(f"{name} {version(name)}" for name in names))
    return int(failed)


def _cell(result: Result) -> str:
    outcome = "passed" if result.passed else f"{result.lost} lost" if result.lost else "workers did not end"
    return f"{outcome}; rate {result.ratio:.0%}, drained in {result.drain_s:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
