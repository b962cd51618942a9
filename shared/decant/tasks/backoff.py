"""Delay of a retry."""

import random

__all__ = ["backoff_s"]


def backoff_s(retries: int, factor: float, maximum_s: float, *, jitter: bool) -> float:
    """Seconds until the next run: Celery's exponential backoff with full jitter, at least 1 s.

    Args:
        retries: Number of earlier retries.
        factor: Delay of the first retry, seconds; it doubles with every retry.
        maximum_s: Longest delay.
        jitter: Choose a whole number of seconds between 1 and that delay, so that tasks that failed together are not
            retried together.
    Source: celery/utils/time.py, get_exponential_backoff_interval.
    """
    exponent = min(retries, 63)  # beyond any maximum, and short of an overflow
    ceiling_s = max(1, min(maximum_s, factor * 2**exponent))
    return random.randint(1, int(ceiling_s)) if jitter else ceiling_s  # noqa: S311  # spreads load, protects nothing
