"""What becomes of a row when its run ends: done, failed, or run again, and when."""

from traceback import TracebackException
from typing import Any

from decant.errors import MaxRetriesExceeded, TaskRevoked, TimeLimitExceeded
from decant.tasks.backoff import backoff_s
from decant.tasks.records import Claimed, Failure, Outcome, State
from decant.tasks.run import Retry
from decant.tasks.sqs import REACH_S, can_announce
from decant.tasks.task import Options, Task

__all__ = ["failed", "gave_back", "lost", "revoked", "succeeded"]

_LONGEST_TEXT = 20_000  # characters of a message or a traceback that are kept


def succeeded(claimed: Claimed, result: str | None) -> Outcome:
    """The run returned."""
    return _outcome(claimed, state=State.SUCCESS, result=result)


def revoked(claimed: Claimed, message: str) -> Outcome:
    """The run was cancelled, or came too late to be started."""
    failure = Failure(TaskRevoked.__name__, message)
    return _outcome(claimed, state=State.REVOKED, failure=failure)


def gave_back(claimed: Claimed) -> Outcome:
    """The row was never run, or not to its end through no doing of its own: nothing counts against it."""
    announced = can_announce(claimed.queue)
    return _outcome(claimed, state=State.PENDING, announced=announced)


def lost(claimed: Claimed, message: str) -> Outcome:
    """The run was cut short from outside: it counts, and is repeated whatever `autoretry_for` says."""
    return _again(claimed, TimeLimitExceeded(message), 0, claimed.max_retries)


def failed(claimed: Claimed, task: Task[..., object], error: BaseException) -> Outcome:
    """The run raised an error, or asked for another run."""
    if isinstance(error, Retry):
        cause = error.exc or error.__context__ or MaxRetriesExceeded("There are no retries left.")
        delay_s = _delay_s(claimed, task.options) if error.countdown is None else error.countdown
        bound = claimed.max_retries if error.max_retries is None else error.max_retries
        return _again(claimed, cause, delay_s, bound)
    options = task.options
    if isinstance(error, options.autoretry_for) and not isinstance(error, options.dont_autoretry_for):
        return _again(claimed, error, _delay_s(claimed, options), claimed.max_retries)
    return _end(claimed, error)


def _outcome(claimed: Claimed, **how: Any) -> Outcome:
    return Outcome(id=claimed.id, attempt=claimed.attempt, leads_on=claimed.leads_on, **how)


def _again(claimed: Claimed, cause: BaseException, delay_s: float, bound: int | None) -> Outcome:
    if bound is not None and claimed.retries >= bound:
        return _end(claimed, cause)
    return _outcome(
        claimed,
        state=State.RETRY,
        failure=_describe(cause),
        delay_s=delay_s,
        announced=can_announce(claimed.queue) and delay_s <= REACH_S,
        max_retries=bound,
    )


def _end(claimed: Claimed, cause: BaseException) -> Outcome:
    return _outcome(claimed, state=State.FAILURE, failure=_describe(cause))


def _delay_s(claimed: Claimed, options: Options) -> float:
    if options.retry_backoff is False:
        return options.default_retry_delay
    factor = float(options.retry_backoff)  # True is Celery's way to say 1
    return backoff_s(claimed.retries, factor, options.retry_backoff_max, jitter=options.retry_jitter)


def _describe(error: BaseException) -> Failure:
    told = TracebackException.from_exception(error)  # safe even where the error's own str() fails
    return Failure(type(error).__name__, _storable(str(told)), _storable("".join(told.format())))


def _storable(text: str) -> str:
    """The end of a text, in what PostgreSQL's `text` can hold: no NUL, no lone surrogate."""
    end = text[-_LONGEST_TEXT:]
    return end.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
