"""Celery and its Redis, from Debian's packages: started, measured, stopped."""

import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from decant_cloud.local.postgres import free_port

__all__ = ["POOLS", "Celery", "celery"]

POOLS = {"prefork": 2, "threads": 20, "gevent": 100}
"""Workers of each pool; prefork's is one a core, Celery's default."""

LIMIT_S = 10.0
"""Seconds after which a worker's rate is taken from the tasks that it has run."""


class Celery:
    """A running Redis, and the app."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        os.environ["BENCH_REDIS"] = url
        self._app = importlib.import_module("tests.benchmarks.tasks.celery_app")

    def enqueue_rate(self, count: int) -> float:
        """Tasks that one process enqueues a second, one by one."""
        self._app.noop.delay()
        started = time.perf_counter()
        for _ in range(count):
            self._app.noop.delay()
        rate = count / (time.perf_counter() - started)
        self._app.app.control.purge()
        return rate

    @contextmanager
    def on_disk(self) -> Iterator[None]:
        """Let Redis put each task on disk before it answers, as PostgreSQL does."""
        with self._app.app.connection_for_write() as connection:
            redis = connection.default_channel.client
            redis.config_set("appendfsync", "always")
            redis.config_set("appendonly", "yes")
            yield
            redis.config_set("appendonly", "no")

    def run_rate(self, pool: str, task: str, arguments: tuple[Any, ...], count: int) -> float:
        """Tasks that one worker runs a second, enqueued beforehand, until the last result or the time limit."""
        errors = importlib.import_module("celery.exceptions")
        with self._worker(pool):
            self._app.noop.delay().get(timeout=60)
            control = self._app.app.control
            control.cancel_consumer("celery", reply=True)
            results = [getattr(self._app, task).delay(*arguments) for _ in range(count)]
            started, done = time.perf_counter(), 0
            control.add_consumer("celery")
            with suppress(errors.TimeoutError):
                for done, result in enumerate(results):  # noqa: B007  # the number of those before it
                    result.get(timeout=max(0.001, started + LIMIT_S - time.perf_counter()))
                done = count
            return done / (time.perf_counter() - started)

    @contextmanager
    def _worker(self, pool: str) -> Iterator[None]:
        command = [sys.executable, "-m", "celery", "-A", "tests.benchmarks.tasks.celery_app", "worker"]
        command += ["--pool", pool, "--concurrency", str(POOLS[pool]), "--loglevel", "ERROR", "--without-gossip"]
        with (self._folder / f"{pool}.log").open("wb") as log:
            worker = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                yield
            finally:
                worker.terminate()
                worker.wait(60)
                self._app.app.control.purge()  # those that were not run within the time limit


@contextmanager
def celery(folder: Path) -> Iterator[Celery]:
    """Celery with a Redis of its own.

    Raises:
        SystemExit: Redis is not installed; the message contains the command.
    """
    server = shutil.which("redis-server")
    if server is None:
        raise SystemExit("error: redis-server is not installed: apt-get install redis-server")
    port = free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield Celery(folder, f"redis://127.0.0.1:{port}/0")
    finally:
        redis.terminate()
        redis.wait(10)
