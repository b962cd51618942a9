"""Limits of tasks in memory."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from decant.tasks.limits import allowed_after, name_of
from decant.tasks.records import Limit
from decant.testing.row import Row

__all__ = ["MemoryLimits"]


class MemoryLimits:
    """State of limits; they behave as those of PostgreSQL."""

    def __init__(self) -> None:
        self._known: dict[str, Limit] = {}
        self._next_at: dict[str, datetime] = {}

    def admit(
        self, candidates: Iterable[Row], limits: Sequence[Limit], rows: Iterable[Row], now: datetime
    ) -> Iterator[Row]:
        """Those of the candidates that may be started; each is started before the next is read."""
        self._known = {limit.name: limit for limit in limits}
        running = Counter(row.new.limit_key for row in rows if row.lease_expires_at)
        for row in candidates:
            key = row.new.limit_key
            limit = self._known.get(name_of(key)) if key else None
            if limit is not None:
                if limit.concurrency is not None and running[key] >= limit.concurrency:
                    continue
                if self.allowed_at(row, now) > now:
                    continue
                running[key] += 1
                interval = timedelta(seconds=limit.interval_s or 0)
                self._next_at[key] = max(self._next_at.get(key, now), now) + interval
            yield row

    def allowed_at(self, row: Row, now: datetime) -> datetime:
        """When the rate limit of the last claim allows the start of a row."""
        limit = self._known.get(name_of(row.new.limit_key))
        next_at = self._next_at.get(row.new.limit_key)
        return now if limit is None or next_at is None else max(now, next_at - allowed_after(limit))
