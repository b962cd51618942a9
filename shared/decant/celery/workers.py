"""Signals of the process of a worker."""

import logging
import sys
from typing import Any, NoReturn

from decant.celery import signals
from decant.tasks.registry import WorkerEvent, on_worker_event

__all__ = ["run", "send"]

_SIGNALS = {
    "init": (signals.worker_init, signals.worker_process_init),
    "ready": (signals.worker_ready,),
    "shutting down": (signals.worker_shutting_down,),
    "shutdown": (signals.worker_process_shutdown, signals.worker_shutdown),
}


@on_worker_event
def send(event: WorkerEvent) -> None:
    """Send the signals of an event."""
    if event == "init":
        _set_up_logging()
    for signal in _SIGNALS[event]:
        signal.send(sender=None)


def _set_up_logging() -> None:
    root = logging.getLogger()
    named: dict[str, Any] = {"loglevel": root.level, "logfile": None, "format": None, "colorize": False}
    if signals.setup_logging.receivers:
        signals.setup_logging.send(sender=None, **named)
    else:
        signals.after_setup_logger.send(sender=None, logger=root, **named)
        signals.after_setup_task_logger.send(sender=None, logger=logging.getLogger("celery.task"), **named)


def run(arguments: list[str] | None) -> NoReturn:
    """Run a worker, as `python -m decant worker` does.

    Args:
        arguments: Arguments of Celery's command, `["worker", "--loglevel=INFO"]`; None for those of the process.
    """
    from decant.worker.process import main  # functions that call tasks import no worker

    given = sys.argv[1:] if arguments is None else arguments
    raise SystemExit(main([argument for argument in given if argument != "worker"]))
