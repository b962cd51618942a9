"""Signals of the process of a worker."""

from decant.celery import signals
from decant.worker.process import Event, listeners

__all__ = ["send"]

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
