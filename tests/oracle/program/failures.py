"""Failures, retries and time limits."""

import time
from typing import Any

from celery import Task
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry, SoftTimeLimitExceeded
from celery.result import AsyncResult

from tests.oracle.program.app import WAIT_S, app, error_of, finished, key, note, notes, outcome, wait_for_notes


class CustomError(Exception):
    pass


class CodeError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


class OddError(Exception):
    def __init__(self) -> None:
        super().__init__("odd", object)


@app.task
def fail(kind: str) -> None:
    raise {
        "value": ValueError("bad", 1),
        "key": KeyError("missing"),
        "custom": CustomError("own"),
        "code": CodeError(7, "seven"),
        "odd": OddError(),
        "plain": Exception(),
        "os": FileNotFoundError(2, "No such file"),
    }[kind]


@app.task
def unpack(value: Any) -> Any:
    return 1 / value


@app.task(bind=True, max_retries=3, default_retry_delay=0)
def flaky(self: Any, name: str, fails: int) -> int:
    note(name, self.request.retries)
    if self.request.retries < fails:
        raise self.retry(exc=ValueError("not yet"), countdown=0)
    return self.request.retries


@app.task(bind=True, max_retries=1)
def without_error(self: Any) -> None:
    raise self.retry(countdown=0)


@app.task(bind=True, max_retries=1)
def in_handler(self: Any) -> None:
    try:
        {}["missing"]
    except KeyError as error:
        raise self.retry(exc=error, countdown=0)


@app.task(bind=True, max_retries=0)
def never_again(self: Any) -> None:
    raise self.retry(exc=CustomError("first"), countdown=0)


@app.task(bind=True)
def bounded_by_call(self: Any, name: str) -> None:
    note(name, self.request.retries)
    raise self.retry(exc=CustomError("end"), countdown=0, max_retries=2)


@app.task(bind=True, max_retries=None)
def unbounded(self: Any, until: int) -> int:
    if self.request.retries < until:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task(bind=True)
def with_other_arguments(self: Any, number: int, word: str = "a") -> Any:
    if self.request.retries == 0:
        raise self.retry(args=[number + 1], kwargs={"word": word + "b"}, countdown=0)
    return [number, word, self.request.retries]


@app.task(bind=True)
def without_throw(self: Any) -> str:
    again = self.retry(countdown=60, throw=False)
    return type(again).__name__


@app.task(autoretry_for=(ValueError,), max_retries=2, default_retry_delay=0)
def auto(name: str) -> None:
    note(name, 1)
    raise ValueError("always")


@app.task(autoretry_for=(ValueError,), retry_kwargs={"max_retries": 1, "countdown": 0})
def auto_with_options(name: str) -> None:
    note(name, 1)
    raise ValueError("always")


@app.task(autoretry_for=(Exception,), dont_autoretry_for=(KeyError,), max_retries=2, default_retry_delay=0)
def auto_except(name: str) -> None:
    note(name, 1)
    raise KeyError("never again")


@app.task(bind=True, autoretry_for=(ValueError,), max_retries=2, default_retry_delay=0)
def auto_succeeds(self: Any) -> int:
    if self.request.retries < 2:
        raise ValueError("again")
    return self.request.retries


@app.task(autoretry_for=(LookupError,), max_retries=3, default_retry_delay=0)
def auto_other_error() -> None:
    raise TypeError("not listed")


@app.task(bind=True)
def ignoring(self: Any, name: str) -> None:
    note(name, "ran")
    raise Ignore()


@app.task(bind=True)
def ignoring_with_state(self: Any, name: str) -> None:
    self.update_state(state="CUSTOM", meta={"why": "skipped"})
    note(name, "ran")
    raise Ignore()


@app.task(bind=True)
def failing_with_state(self: Any, name: str) -> None:
    self.update_state(
        state="FAILURE", meta={"exc_type": "ValueError", "exc_message": ["own"], "exc_module": "builtins"}
    )
    note(name, "ran")
    raise Ignore()


@app.task(bind=True, acks_late=True)
def rejecting(self: Any, name: str) -> None:
    note(name, "ran")
    raise Reject("no reason", requeue=False)


@app.task(bind=True)
def progress(self: Any, name: str) -> str:
    self.update_state(state="PROGRESS", meta={"done": 1, "total": 2})
    note(name, "reported")
    while len(notes(name)) < 2:
        time.sleep(0.02)
    return "done"


@app.task(soft_time_limit=1)
def soft_limited() -> str:
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            time.sleep(0.01)
    except SoftTimeLimitExceeded:
        return "cleaned up"
    return "never"


@app.task(soft_time_limit=1)
def soft_limit_unhandled() -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        time.sleep(0.01)


@app.task(time_limit=1)
def hard_limited() -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        time.sleep(0.01)


@app.task(throws=(KeyError,))
def expected() -> None:
    raise KeyError("expected")


@app.task
def note_error_id(task_id: str, name: str = "") -> None:
    note(name or "none", task_id)


@app.task
def note_error(request: Any, error: Any, traceback: Any, name: str) -> None:
    note(name, request.id, type(error).__name__, str(error), "Traceback" in str(traceback))


@app.task
def note_only_id(task_id: str) -> None:
    note(f"only-{task_id}", "called")


@app.task
def note_plain(name: str) -> None:
    note(name, "plain")


def case_error_class() -> Any:
    try:
        fail.delay("value").get(timeout=WAIT_S)
    except ValueError as error:
        return [type(error).__name__, list(error.args)]


def case_error_outcomes() -> Any:
    return [outcome(fail.delay(kind)) for kind in ("value", "key", "plain", "os")]


def case_custom_error() -> Any:
    try:
        fail.delay("custom").get(timeout=WAIT_S)
    except CustomError as error:
        return error_of(error)


def case_error_with_arguments() -> Any:
    try:
        fail.delay("code").get(timeout=WAIT_S)
    except CodeError as error:
        return [error.code, list(error.args)]


def case_error_that_cannot_be_made_again() -> Any:
    found = outcome(fail.delay("odd"))
    return [found["state"], found["value"][0]]


def case_failed_attributes() -> Any:
    result = fail.delay("value")
    result.get(timeout=WAIT_S, propagate=False)
    return [
        result.state,
        result.failed(),
        result.successful(),
        result.ready(),
        error_of(result.result),
        error_of(result.info),
        "ValueError" in result.traceback,
    ]


def case_propagate_false() -> Any:
    return error_of(fail.delay("value").get(timeout=WAIT_S, propagate=False))


def case_maybe_throw() -> Any:
    result = finished(fail.delay("value"))
    try:
        result.maybe_throw()
    except ValueError as error:
        return error_of(error)


def case_maybe_throw_returns() -> Any:
    result = finished(unpack.delay(1))
    return result.maybe_throw()


def case_zero_division() -> Any:
    return outcome(unpack.delay(0))


def case_retry_until_success() -> Any:
    name = key()
    result = flaky.delay(name, 2)
    return [result.get(timeout=WAIT_S), notes(name)]


def case_retry_until_none_are_left() -> Any:
    name = key()
    result = flaky.delay(name, 10)
    return [outcome(result), len(notes(name))]


def case_retry_without_error() -> Any:
    found = outcome(without_error.delay())
    return [found["state"], found["value"][0], "Can't retry" in found["value"][1]]


def case_retry_in_an_error_handler() -> Any:
    return outcome(in_handler.delay())


def case_no_retries() -> Any:
    return outcome(never_again.delay())


def case_retry_with_a_bound_of_its_own() -> Any:
    name = key()
    return [outcome(bounded_by_call.delay(name)), len(notes(name))]


def case_unbounded_retries() -> Any:
    return unbounded.delay(5).get(timeout=WAIT_S)


def case_retry_with_other_arguments() -> Any:
    return with_other_arguments.delay(1).get(timeout=WAIT_S)


def case_retry_called_directly() -> Any:
    try:
        never_again()
    except CustomError as error:
        return error_of(error)


def case_retry_called_directly_without_error() -> Any:
    try:
        without_error()
    except Retry as error:
        return error_of(error)


def case_retry_names() -> Any:
    return [
        issubclass(Retry, Exception),
        issubclass(MaxRetriesExceededError, Exception),
        flaky.MaxRetriesExceededError is MaxRetriesExceededError,
    ]


def case_autoretry() -> Any:
    name = key()
    return [outcome(auto.delay(name)), len(notes(name))]


def case_autoretry_with_options() -> Any:
    name = key()
    return [outcome(auto_with_options.delay(name)), len(notes(name))]


def case_autoretry_except() -> Any:
    name = key()
    return [outcome(auto_except.delay(name)), len(notes(name))]


def case_autoretry_succeeds() -> Any:
    return auto_succeeds.delay().get(timeout=WAIT_S)


def case_autoretry_other_error() -> Any:
    return outcome(auto_other_error.delay())


def case_ignore() -> Any:
    name = key()
    result = ignoring.delay(name)
    return [wait_for_notes(name, 1), result.ready() and result.state]


def case_ignore_with_a_state() -> Any:
    name = key()
    result = ignoring_with_state.delay(name)
    wait_for_notes(name, 1)
    return [result.state, result.info]


def case_ignore_with_a_failure() -> Any:
    name = key()
    result = failing_with_state.delay(name)
    wait_for_notes(name, 1)
    return [result.state, error_of(result.result)]


def case_reject() -> Any:
    name = key()
    rejecting.delay(name)
    return wait_for_notes(name, 1)


def case_update_state() -> Any:
    name = key()
    result = progress.delay(name)
    wait_for_notes(name, 1)
    during = [result.state, result.info, result.result, result.ready()]
    note(name, "go on")
    return [during, result.get(timeout=WAIT_S), result.state]


def case_soft_time_limit() -> Any:
    return soft_limited.delay().get(timeout=WAIT_S)


def case_soft_time_limit_unhandled() -> Any:
    found = outcome(soft_limit_unhandled.delay())
    return [found["state"], found["value"][0]]


def case_hard_time_limit() -> Any:
    found = outcome(hard_limited.delay())
    return [found["state"], found["value"][0]]


def case_time_limit_of_a_call() -> Any:
    found = outcome(soft_limit_unhandled.apply_async(soft_time_limit=10, time_limit=1.5))
    return [found["state"], found["value"][0]]


def case_time_limits_in_the_wrong_order() -> Any:
    try:
        wrong_order.delay()
    except ValueError as error:
        return error_of(error)


@app.task(soft_time_limit=5, time_limit=1)
def wrong_order() -> None:
    pass


def case_throws() -> Any:
    return outcome(expected.delay())


def case_link_error_receives_the_id() -> Any:
    result = fail.apply_async(("value",), link_error=note_only_id.s())
    finished(result)
    return wait_for_notes(f"only-{result.id}", 1)


def case_link_error_receives_request_error_and_traceback() -> Any:
    name = key()
    result = fail.apply_async(("value",), link_error=note_error.s(name))
    found = wait_for_notes(name, 1)
    return [found[0][0] == result.id, *found[0][1:]] if found else found


def case_link_error_immutable() -> Any:
    name = key()
    fail.apply_async(("value",), link_error=note_plain.si(name))
    return wait_for_notes(name, 1)


def case_link_error_after_success() -> Any:
    name = key()
    result = unpack.apply_async((1,), link_error=note_plain.si(name))
    result.get(timeout=WAIT_S)
    return notes(name)


def case_link_after_failure() -> Any:
    name = key()
    result = fail.apply_async(("value",), link=note_plain.si(name))
    finished(result)
    return notes(name)


def case_link_error_after_retries() -> Any:
    name, other = key(), key()
    result = flaky.apply_async((name, 10), link_error=note_plain.si(other))
    finished(result)
    return [wait_for_notes(other, 1), len(notes(name))]


def case_on_error_of_a_signature() -> Any:
    name = key()
    fail.s("value").on_error(note_plain.si(name)).delay()
    return wait_for_notes(name, 1)


class Hooked(Task):
    abstract = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        note(kwargs["name"], "before_start", list(args))

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        note(kwargs["name"], "on_success", retval, task_id == self.request.id)

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(kwargs["name"], "on_failure", *error_of(exc), "Traceback" in str(einfo))

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(kwargs["name"], "on_retry", *error_of(exc))

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(kwargs["name"], "after_return", status, error_of(retval) if isinstance(retval, Exception) else retval)


@app.task(base=Hooked)
def hooked_success(x: int, name: str) -> int:
    return x + 1


@app.task(base=Hooked)
def hooked_failure(x: int, name: str) -> int:
    raise ValueError("hooked")


@app.task(base=Hooked, bind=True, max_retries=1)
def hooked_retry(self: Any, x: int, name: str) -> int:
    if self.request.retries == 0:
        raise self.retry(exc=ValueError("again"), countdown=0)
    return x


def case_hooks_of_a_success() -> Any:
    name = key()
    hooked_success.delay(1, name=name).get(timeout=WAIT_S)
    return wait_for_notes(name, 3)


def case_hooks_of_a_failure() -> Any:
    name = key()
    finished(hooked_failure.delay(1, name=name))
    return wait_for_notes(name, 3)


def case_hooks_of_a_retry() -> Any:
    name = key()
    hooked_retry.delay(1, name=name).get(timeout=WAIT_S)
    return sorted(map(str, wait_for_notes(name, 5)))  # Celery sends the retry before it calls the hook


class FailsBefore(Task):
    abstract = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        raise CustomError("before")

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        note(args[0], "on_failure", *error_of(exc))


@app.task(base=FailsBefore)
def never_started(name: str) -> None:
    note(name, "ran")


def case_error_before_the_start() -> Any:
    name = key()
    found = outcome(never_started.delay(name))
    return [found, wait_for_notes(name, 1)]


class Counter(Task):
    abstract = True
    prefix = "counted"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return [self.prefix, self.run(*args, **kwargs)]


@app.task(base=Counter)
def with_call(x: int) -> int:
    return x * 2


class ClassTask(Task):
    name = "oracle.class-task"

    def run(self, x: int) -> Any:
        return [x, self.name, self.request.retries]


class_task = app.register_task(ClassTask())


def case_task_class_with_call() -> Any:
    return with_call.delay(4).get(timeout=WAIT_S)


def case_class_based_task() -> Any:
    return class_task.delay(5).get(timeout=WAIT_S)


def case_task_attributes() -> Any:
    return [
        flaky.max_retries,
        flaky.default_retry_delay,
        fail.max_retries,
        fail.default_retry_delay,
        soft_limited.soft_time_limit,
        hard_limited.time_limit,
        auto.autoretry_for[0].__name__,
    ]


def case_forgotten_failure() -> Any:
    result = fail.delay("value")
    finished(result)
    result.forget()
    return AsyncResult(result.id, app=app).state
