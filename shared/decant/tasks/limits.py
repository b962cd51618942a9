"""Limits of tasks: starts per time, and running tasks, over all workers."""

import math
import re
from datetime import timedelta

from decant.tasks import checks
from decant.tasks.records import Limit

__all__ = ["allowed_after", "limit_of", "name_of", "retry_within_s"]

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:/([smh]))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_BURST_S = 0.05
"""Starts of so many seconds may happen at once, so that a worker can claim many tasks of a fast limit together."""


def limit_of(name: str, rate_limit: str | float | None, concurrency: int | None) -> Limit | None:
    """The limits of a task; None when it has none.

    In any period of the rate limit, at most its number of tasks is started: bursts are subtracted from the rate.

    Args:
        name: Name of the task.
        rate_limit: Starts per second, minute or hour, "100/m"; a number is a rate per second.
        concurrency: Maximum number of running tasks of a key.
    Raises:
        ValueError: the rate is not of this form, or a limit is not positive.
        TypeError: `concurrency` is not a whole number.
    """
    if concurrency is not None and checks.count("concurrency", concurrency) < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}")
    if rate_limit is None:
        return None if concurrency is None else Limit(name=name, concurrency=concurrency)
    match = _RATE.fullmatch(str(rate_limit))
    if match is None or float(match[1]) == 0:
        raise ValueError(f"rate_limit must be a number over 0 with /s, /m or /h, such as '100/m', not {rate_limit!r}")
    starts, period_s = float(match[1]), _SECONDS[match[2] or "s"]
    burst = max(1, math.floor(starts / period_s * _BURST_S))
    return Limit(name=name, concurrency=concurrency, interval_s=period_s / (starts - burst + 1), burst=burst)


def name_of(limit_key: str) -> str:
    """Name of the task to which a limit key belongs."""
    return limit_key.partition("\n")[0]


def allowed_after(limit: Limit) -> timedelta:
    """Time before the end of all intervals at which the next start is allowed."""
    return timedelta(seconds=(limit.interval_s or 0) * ((limit.burst or 1) - 1))


def retry_within_s(limit: Limit, backlog: int) -> float:
    """Seconds in which so many waiting tasks are started, or within which their messages are delivered again."""
    if limit.interval_s is not None:
        return limit.interval_s * (backlog + 1)
    return 2 + backlog / (limit.concurrency or 1)
