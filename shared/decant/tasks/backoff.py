"""How long a retry waits: Celery's exponential backoff with full jitter, but never no time at all.

Source: celery/utils/time.py, get_exponential_backoff_interval.
"""

import random

__all__ = ["backoff_s"]


def backoff_s(retries: int, factor: float, maximum_s: float, *, jitter: bool) -> float:
    """Seconds before the next run.

    Args:
        retries: How many retries there were before this one.
        factor: Seconds that the first retry waits; each one after it waits twice as long.
        maximum_s: Longest wait.
        jitter: Whether to pick a whole number of seconds between 1 and that wait, so that tasks which failed
            together do not come back together.
    """
    exponent = min(retries, 63)  # past any maximum, and short of overflow
    ceiling_s = max(1, min(maximum_s, factor * 2**exponent))
    return random.randint(1, int(ceiling_s)) if jitter else ceiling_s  # noqa: S311  # spreads load, guards nothing
