"""Percentiles of waiting and run times, from the counts of `decant.task_statistic`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any

from decant.console.records import Period
from decant.tasks.sql.statistics import BOUNDS_S

__all__ = ["Counts", "by", "percentiles"]

_PERCENTILES = (0.5, 0.95, 0.99)
_EDGES_S = [0.0, *BOUNDS_S, BOUNDS_S[-1] * 2]

type Percentiles = tuple[float, float, float]


class Counts:
    """Counts of finished tasks, by kind and bucket.

    Args:
        rows: Rows of the statistics.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._counts: dict[str, Counter[int]] = defaultdict(Counter)
        for row in rows:
            self._counts[row["kind"]][row["bucket"]] += row["count"]

    def period(self, since: datetime) -> Period:
        """The counts as a period."""
        done = {state: self._counts[state].total() for state in ("SUCCESS", "FAILURE", "REVOKED")}
        times = [percentiles(self._counts[kind]) for kind in ("wait", "run")]
        return Period(since, done["SUCCESS"], done["FAILURE"], done["REVOKED"], *times)


def by(column: str, rows: Iterable[Mapping[str, Any]]) -> dict[Any, Counts]:
    """Group rows of the statistics by a column, in its order."""
    groups: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return {value: Counts(groups[value]) for value in sorted(groups)}


def percentiles(buckets: Mapping[int, int]) -> Percentiles | None:
    """The 50th, 95th and 99th percentile, seconds; None without counts.

    Within a bucket the times are taken as evenly distributed, so that a percentile is within a fifth of the true one.
    """
    total = sum(buckets.values())
    if not total:
        return None
    numbers = sorted(buckets)
    reached = list(accumulate((buckets[number] for number in numbers), initial=0))

    def at(share: float) -> float:
        wanted = share * total
        for number, (before, after) in zip(numbers, pairwise(reached), strict=True):
            if after >= wanted:
                low, high = _EDGES_S[number], _EDGES_S[number + 1]
                return low + (high - low) * (wanted - before) / (after - before)
        return _EDGES_S[numbers[-1] + 1]

    low, middle, high = map(at, _PERCENTILES)
    return low, middle, high
