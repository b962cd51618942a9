"""A worker as a process of its own, for containers and development: `python -m decant worker -Q mail -c 20`.

It runs tasks of the table, and inserts those of schedules. SIGTERM and the first SIGINT are a warm shutdown: no task is
started any more, and the process ends when all runs have ended. The second SIGINT and SIGQUIT are a cold shutdown: runs
are cancelled, and their tasks are released.
"""

import argparse
import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

from decant import runtime
from decant.errors import ConfigError
from decant.tasks.options import TaskSettings
from decant.tasks.publish import work_available
from decant.tasks.registry import load_modules, notify, registry
from decant.worker.poller import run_forever

__all__ = ["main", "serve"]

log = logging.getLogger("decant.tasks")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until a signal ends it; returns the exit status."""
    given = _parser().parse_args(arguments)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # modules of the working directory, as with Celery's command
    if given.concurrency is not None:
        os.environ["TASK_CONCURRENCY"] = str(given.concurrency)
    if given.loglevel is not None:
        os.environ["LOG_LEVEL"] = given.loglevel.upper()
    runtime.current().reload()
    try:
        runtime.current().start()
        if given.app:
            importlib.import_module(given.app.partition(":")[0])
        load_modules()
    except (ConfigError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # output of a command
        return 2
    queues = given.queues and [_queue(name.strip()) for name in given.queues.split(",")]
    if runtime.current().run(serve(queues, given.poll)):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(1)  # threads of cancelled runs may go on for any time
    runtime.current().shut_down()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m decant worker", description="Run tasks until a signal ends it.")
    parser.add_argument("-A", "--app", help="module to import in addition to TASK_MODULES")
    parser.add_argument("-Q", "--queues", help="only tasks on these queues, with commas between")
    parser.add_argument("-c", "--concurrency", type=int, help="maximum number of tasks that run at once")
    parser.add_argument("-l", "--loglevel", help="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    parser.add_argument("--poll", type=float, default=1.0, help="longest time between two polls, seconds")
    for flags in (("-n", "--hostname"), ("-P", "--pool"), ("-O",)):
        parser.add_argument(*flags, help=argparse.SUPPRESS)  # options of Celery's command without effect
    for flags in (("-B", "--beat"), ("-E", "--task-events"), ("--without-gossip",), ("--without-mingle",)):
        parser.add_argument(*flags, action="store_true", help=argparse.SUPPRESS)
    return parser


def _queue(name: str) -> str:
    return "default" if name == "celery" else name


async def serve(queues: Sequence[str] | None = None, poll_s: float = 1.0) -> bool:
    """Run tasks until a signal arrives.

    Args:
        queues: Only tasks on these queues; None for all.
        poll_s: Longest time between two polls, seconds.
    Returns:
        Whether runs were cancelled.
    """
    draining, loop = asyncio.Event(), asyncio.get_running_loop()
    worker = asyncio.create_task(run_forever(poll_s, queues=queues, draining=draining))

    def drain() -> None:
        if not draining.is_set():
            log.info("Warm shutdown; waiting for running tasks")
            draining.set()
            work_available().set()
            notify("shutting down")

    def interrupt() -> None:
        if draining.is_set():
            cancel()
        else:
            drain()

    def cancel() -> None:
        log.warning("Cold shutdown; running tasks are released")
        worker.cancel()

    handlers = {signal.SIGTERM: drain, signal.SIGINT: interrupt, signal.SIGQUIT: cancel}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    served = "all" if queues is None else ", ".join(queues)
    concurrency = runtime.current().environment.load(TaskSettings).concurrency
    log.info("Worker ready", extra={"queues": served, "concurrency": concurrency, "tasks": len(registry)})
    try:
        await asyncio.wait({worker})
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
    if worker.cancelled():
        return True
    worker.result()
    return False
