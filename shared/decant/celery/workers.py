"""Signals of the process of a worker."""

import sys
from typing import NoReturn

from decant.celery import signals
from decant.worker.process import Event, listeners, main

__all__ = ["run", "send"]

_SIGNALS = {
    "init": (signals.worker_init, signals.worker_process_init),
    "ready": (signals.worker_ready,),
    "shutting down": (signals.worker_shutting_down,),
    "shutdown": (signals.worker_process_shutdown, signals.worker_shutdown),
}


def send(event: Event) -> None:
    """Send the signals of an event."""
    for signal in _SIGNALS[event]:
        signal.send(sender=None)


listeners.append(send)


def run(arguments: list[str] | None) -> NoReturn:
    """Run a worker, as `python -m decant worker` does.

    Args:
        arguments: Arguments of Celery's command, `["worker", "--loglevel=INFO"]`; None for those of the process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    raise SystemExit(main([argument for argument in given if argument != "worker"]))
