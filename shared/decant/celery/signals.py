"""Signals: functions that are called at events of tasks and workers, as in `celery.signals`.

They are sent in the process in which the event happens. A receiver that raises an error does not affect the task: the
error is logged.
"""

import logging
import weakref
from collections.abc import Callable
from typing import Any

from decant.celery.exceptions import Unsupported

__all__ = [
    "Signal",
    "after_setup_logger",
    "after_setup_task_logger",
    "after_task_publish",
    "before_task_publish",
    "setup_logging",
    "task_failure",
    "task_postrun",
    "task_prerun",
    "task_received",
    "task_rejected",
    "task_retry",
    "task_revoked",
    "task_success",
    "worker_init",
    "worker_process_init",
    "worker_process_shutdown",
    "worker_ready",
    "worker_shutdown",
    "worker_shutting_down",
]

log = logging.getLogger("decant.celery")

type Receiver = Callable[..., Any]


class Signal:
    """A signal and its receivers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.receivers: list[tuple[Any, Any, Callable[[], Receiver | None]]] = []

    def __repr__(self) -> str:
        return f"<Signal: {self.name}>"

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Register a receiver: as a call, or as a decorator with or without arguments.

        Args:
            args: The receiver; empty for a decorator with arguments.
            kwargs: `sender`: only its events; `weak`: forget the receiver with its object (default True);
                `dispatch_uid`: a second receiver with the same id is not registered.
        """
        if args and callable(args[0]):
            return self._connect(args[0], *args[1:], **kwargs)
        return lambda receiver: self._connect(receiver, *args, **kwargs)

    def _connect(
        self, receiver: Receiver, sender: Any = None, *, weak: bool = True, dispatch_uid: Any = None
    ) -> Receiver:
        key = dispatch_uid if dispatch_uid is not None else _identity(receiver)
        if all((known, of) != (key, sender) for known, of, _ in self.receivers):
            self.receivers.append((key, sender, _reference(receiver) if weak else lambda: receiver))
        return receiver

    def disconnect(self, receiver: Receiver | None = None, sender: Any = None, dispatch_uid: Any = None) -> bool:
        """Remove a receiver; returns whether there was one."""
        key = dispatch_uid if dispatch_uid is not None else _identity(receiver)
        kept = [entry for entry in self.receivers if (entry[0], entry[1]) != (key, sender)]
        found, self.receivers = len(kept) < len(self.receivers), kept
        return found

    def has_listeners(self, sender: Any = None) -> bool:
        """Whether a receiver would be called."""
        return any(of is None or of is sender or of == sender for _, of, _ in self.receivers)

    def send(self, sender: Any, **named: Any) -> list[tuple[Receiver, Any]]:
        """Call the receivers; returns them with their results or errors."""
        results = []
        for _, of, reference in list(self.receivers):
            receiver = reference() if of is None or of is sender or of == sender else None
            if receiver is None:
                continue
            try:
                result = receiver(signal=self, sender=sender, **named)
            except Exception as error:
                log.exception("Signal handler raised", extra={"signal": self.name, "handler": repr(receiver)})
                result = error
            results.append((receiver, result))
        return results

    send_robust = send


def _identity(receiver: Receiver | None) -> Any:
    owner, function = getattr(receiver, "__self__", None), getattr(receiver, "__func__", receiver)
    return id(owner), id(function)


def _reference(receiver: Receiver) -> Callable[[], Receiver | None]:
    return weakref.WeakMethod(receiver) if hasattr(receiver, "__self__") else weakref.ref(receiver)


before_task_publish = Signal("before_task_publish")
after_task_publish = Signal("after_task_publish")
task_received = Signal("task_received")
task_prerun = Signal("task_prerun")
task_postrun = Signal("task_postrun")
task_success = Signal("task_success")
task_retry = Signal("task_retry")
task_failure = Signal("task_failure")
task_revoked = Signal("task_revoked")
task_rejected = Signal("task_rejected")
worker_init = Signal("worker_init")
worker_process_init = Signal("worker_process_init")
worker_process_shutdown = Signal("worker_process_shutdown")
worker_ready = Signal("worker_ready")
worker_shutting_down = Signal("worker_shutting_down")
worker_shutdown = Signal("worker_shutdown")
setup_logging = Signal("setup_logging")
after_setup_logger = Signal("after_setup_logger")
after_setup_task_logger = Signal("after_setup_task_logger")

_NEVER_SENT = {
    "beat_init",
    "beat_embedded_init",
    "celeryd_init",
    "celeryd_after_setup",
    "eventlet_pool_started",
    "eventlet_pool_preshutdown",
    "eventlet_pool_postshutdown",
    "eventlet_pool_apply",
    "heartbeat_sent",
    "import_modules",
    "task_internal_error",
    "task_unknown",
    "user_preload_options",
    "worker_before_create_process",
}


def __getattr__(name: str) -> Signal:
    if name in _NEVER_SENT:
        raise Unsupported(f"Nothing sends the signal {name}. Use worker_ready, task_prerun or task_postrun.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
