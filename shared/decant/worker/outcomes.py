"""Outcomes of runs that did not succeed: failure, retry with its delay, or release."""

from typing import Any

from decant.errors import MaxRetriesExceeded, TaskRevoked
from decant.tasks.backoff import backoff_s
from decant.tasks.context import Retry
from decant.tasks.failures import describe, storable
from decant.tasks.options import MAX_DELAY_S, TaskOptions, has_url
from decant.tasks.records import EXPIRED, Claimed, Failure, Outcome, State

__all__ = ["expired", "failed", "lost", "rejected", "released", "revoked"]


def revoked(claimed: Claimed, message: str) -> Outcome:
    """The run was revoked."""
    failure = Failure(TaskRevoked.__name__, message)
    return _outcome(claimed, state=State.REVOKED, failure=failure)


def expired(claimed: Claimed) -> Outcome:
    """The task was not run, because it had expired."""
    failure = Failure(EXPIRED, "It had expired before it could be started.")
    return _outcome(claimed, state=State.REVOKED, failure=failure)


def released(claimed: Claimed, delay_s: float = 0) -> Outcome:
    """The task was not run, or interrupted by a shutdown: the run does not count as a retry."""
    return _outcome(claimed, state=State.PENDING, delay_s=delay_s, publish=has_url(claimed.queue))


def lost(claimed: Claimed, error: Exception) -> Outcome:
    """The run was interrupted by the worker: it counts, and is retried regardless of `autoretry_for`."""
    return _retry(claimed, error, 0, claimed.max_retries)


def failed(claimed: Claimed, options: TaskOptions, error: BaseException, details: str | None = None) -> Outcome:
    """The function raised an error, or requested a retry.

    Args:
        claimed: The task.
        options: Options of the call.
        error: The error.
        details: Details to record with a FAILURE.
    """
    if isinstance(error, Retry):
        cause = error.exc or error.__context__ or MaxRetriesExceeded("There are no retries left.")
        delay_s = _delay_s(claimed, options) if error.countdown is None else error.countdown
        bound = claimed.max_retries if error.max_retries is None else error.max_retries
        return _retry(claimed, cause, delay_s, bound, error.arguments)
    if isinstance(error, options.autoretry_for) and not isinstance(error, options.dont_autoretry_for):
        return _retry(claimed, error, _delay_s(claimed, options), claimed.max_retries)
    return _failure(claimed, error, details)


def rejected(outcome: Outcome, error: Exception) -> Outcome:
    """PostgreSQL rejected the outcome: the task fails with its error."""
    failure = Failure(type(error).__name__, f"The result could not be stored: {storable(str(error))}")
    return Outcome(id=outcome.id, attempt=outcome.attempt, state=State.FAILURE, failure=failure)


def _outcome(claimed: Claimed, **fields: Any) -> Outcome:
    return Outcome(id=claimed.id, attempt=claimed.attempt, has_dependents=claimed.has_dependents, **fields)


def _retry(
    claimed: Claimed,
    cause: BaseException,
    delay_s: float,
    bound: int | None,
    arguments: tuple[str, str] | None = None,
) -> Outcome:
    if bound is not None and claimed.retries >= bound:
        return _failure(claimed, cause)
    return _outcome(
        claimed,
        state=State.RETRY,
        failure=describe(cause),
        delay_s=delay_s,
        publish=has_url(claimed.queue) and delay_s <= MAX_DELAY_S,
        max_retries=bound,
        args=arguments and arguments[0],
        kwargs=arguments and arguments[1],
    )


def _failure(claimed: Claimed, cause: BaseException, details: str | None = None) -> Outcome:
    return _outcome(claimed, state=State.FAILURE, failure=describe(cause), details=details)


def _delay_s(claimed: Claimed, options: TaskOptions) -> float:
    if options.retry_backoff is False:
        return options.default_retry_delay
    factor = float(options.retry_backoff)  # as in Celery, True means 1
    return backoff_s(claimed.retries, factor, options.retry_backoff_max, jitter=options.retry_jitter)
