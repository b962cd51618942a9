"""Signals, sent in the worker and in the caller."""

import time
from typing import Any

from celery import Task, signals
from celery.exceptions import Retry
from celery.result import allow_join_result

from tests.oracle.program.app import WAIT_S, app, error_of, finished, key, note, outcome, wait_for_notes


@app.task
def signalled(name: str, value: int) -> int:
    return value + 1


@app.task
def signalled_failure(name: str) -> None:
    raise ValueError("signalled")


@app.task(bind=True, max_retries=1)
def signalled_retry(self: Any, name: str) -> str:
    if self.request.retries == 0:
        raise self.retry(exc=ValueError("again"), countdown=0)
    return "done"


NAMES = ("signalled", "signalled_failure", "signalled_retry")


def is_ours(sender: Any) -> bool:
    return getattr(sender, "name", "").rpartition(".")[2] in NAMES


@signals.task_prerun.connect
def on_prerun(
    sender: Any = None, task_id: Any = None, task: Any = None, args: Any = None, kwargs: Any = None, **extra: Any
) -> None:
    if is_ours(sender):
        note(args[0], "prerun", task_id is not None, list(args)[1:], task.name == sender.name)


@signals.task_postrun.connect
def on_postrun(sender: Any = None, args: Any = None, retval: Any = None, state: Any = None, **extra: Any) -> None:
    if is_ours(sender):
        note(args[0], "postrun", state, error_of(retval)[0] if isinstance(retval, Exception) else retval)


@signals.task_success.connect
def on_success(sender: Any = None, result: Any = None, **extra: Any) -> None:
    if is_ours(sender):
        note(sender.request.args[0], "success", result)


@signals.task_failure.connect(weak=False)
def on_failure(
    sender: Any = None, task_id: Any = None, exception: Any = None, args: Any = None, einfo: Any = None, **extra: Any
) -> None:
    if is_ours(sender):
        note(args[0], "failure", *error_of(exception), "Traceback" in str(einfo), task_id is not None)


@signals.task_retry.connect
def on_retry(sender: Any = None, request: Any = None, reason: Any = None, **extra: Any) -> None:
    if is_ours(sender):
        note(request.args[0], "retry", isinstance(reason, Retry), error_of(reason.exc))


@app.task
def received(name: str) -> None: ...


@signals.task_received.connect
def on_received(request: Any = None, **extra: Any) -> None:
    if request.args and request.args[0].startswith("received-"):
        note(request.args[0], "received", request.id is not None)


def case_task_received() -> Any:
    name = f"received-{key()}"
    finished(received.delay(name))
    return wait_for_notes(name, 1)


def case_signals_of_a_success() -> Any:
    name = key()
    signalled.delay(name, 1).get(timeout=WAIT_S)
    return wait_for_notes(name, 3)


def case_signals_of_a_failure() -> Any:
    name = key()
    finished(signalled_failure.delay(name))
    return wait_for_notes(name, 3)


def case_signals_of_a_retry() -> Any:
    name = key()
    signalled_retry.delay(name).get(timeout=WAIT_S)
    return sorted(map(str, wait_for_notes(name, 6)))  # Celery sends the retry before it sends the signal


def case_connect_and_disconnect() -> Any:
    found: list[Any] = []

    def receiver(**named: Any) -> None:
        found.append(sorted(set(named) - {"signal", "sender"}))

    signals.worker_ready.connect(receiver)
    signals.worker_ready.send(sender="someone")
    signals.worker_ready.disconnect(receiver)
    signals.worker_ready.send(sender="someone")
    return found


def case_connect_for_a_sender() -> Any:
    found: list[Any] = []

    def receiver(sender: Any = None, **named: Any) -> None:
        found.append(sender)

    signals.worker_init.connect(receiver, sender="me")
    signals.worker_init.send(sender="me")
    signals.worker_init.send(sender="you")
    signals.worker_init.disconnect(receiver, sender="me")
    return found


def case_send_returns_responses() -> Any:
    def receiver(**named: Any) -> str:
        return "response"

    signals.worker_shutdown.connect(receiver)
    responses = [response for _, response in signals.worker_shutdown.send(sender=None)]
    signals.worker_shutdown.disconnect(receiver)
    return responses


def case_receiver_that_fails() -> Any:
    def receiver(**named: Any) -> str:
        raise ValueError("receiver")

    signals.worker_shutdown.connect(receiver, weak=False)
    responses = [error_of(response) for _, response in signals.worker_shutdown.send(sender=None)]
    signals.worker_shutdown.disconnect(receiver)
    return responses


def case_before_task_publish() -> Any:
    found: list[Any] = []

    def receiver(sender: Any = None, headers: Any = None, **named: Any) -> None:
        if sender == signalled.name:
            found.append([sender.rpartition(".")[2], headers["id"] is not None])

    signals.before_task_publish.connect(receiver)
    signalled.delay(key(), 1).get(timeout=WAIT_S)
    signals.before_task_publish.disconnect(receiver)
    return found[:1]


class Revocable(Task):
    abstract = True

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(args[0], "on_failure")

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(args[0], "after_return")


@app.task(base=Revocable)
def revocable(name: str) -> None:
    note(name, "started")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.01)


@signals.task_revoked.connect
def on_revoked(
    sender: Any = None, request: Any = None, terminated: Any = None, expired: Any = None, **extra: Any
) -> None:
    if getattr(sender, "name", "").endswith(".revocable"):
        note(request.args[0], "revoked", terminated, expired)


def case_revoked_run_calls_no_hooks() -> Any:
    name = key()
    result = revocable.delay(name)
    wait_for_notes(name, 1)
    result.revoke(terminate=True)
    finished(result)
    return [result.state, wait_for_notes(name, 2)]


@app.task
def joining_outright(name: str, value: int) -> int:
    return signalled.delay(name, value).get(timeout=WAIT_S) + 1


def case_join_in_a_task() -> Any:
    return outcome(joining_outright.delay(key(), 1))["state"]


def case_join_in_a_task_is_allowed_in_a_block() -> Any:
    return joining.delay().get(timeout=WAIT_S)


@app.task
def joining() -> int:
    with allow_join_result():
        return signalled.delay(key(), 4).get(timeout=WAIT_S)
