"""Schedules of periodic tasks: `@task(schedule=every(30))`, `@task(schedule=cron("0 3 * * *", "Europe/Berlin"))`.

The sweeper inserts one task for every tick. Its id is derived from the task's name and the time of the tick, so that
several sweepers insert the task once.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

__all__ = ["Missed", "Schedule", "cron", "every"]

type Missed = Literal["latest", "all", "skip"]
"""Ticks to catch up on after a time without a sweeper: the latest tick, all ticks, or none (`skip`)."""

_MOST_TICKS = 1000  # of a task in one sweep; the next sweep continues from there
_LATE = timedelta(minutes=2)  # older ticks count as missed
_MEMORY = timedelta(days=366)  # older ticks are dropped


class Schedule(ABC):
    """A series of ticks.

    Attributes:
        missed: Missed ticks for which tasks are inserted.
    """

    def __init__(self, missed: Missed) -> None:
        if missed not in {"latest", "all", "skip"}:
            raise ValueError(f"missed must be 'latest', 'all' or 'skip', not {missed!r}")
        self.missed = missed

    @abstractmethod
    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Ticks later than `after` and not later than `until`, in order, in UTC."""

    def due(self, after: datetime, now: datetime, ahead: timedelta) -> list[datetime]:
        """Ticks for which tasks must be inserted.

        Args:
            after: The last tick that has a task, or the time at which the schedule was first seen.
            now: The present time.
            ahead: Time before a tick at which its task is inserted, so that it starts on time.
        """
        past = list(islice(self.ticks(max(after, now - _MEMORY), now), _MOST_TICKS if self.missed == "all" else None))
        coming = self.ticks(max(after, now), now + ahead)
        if self.missed == "skip":
            past = [tick for tick in past if tick > now - _LATE]
        if self.missed == "latest" and past and past[0] <= now - _LATE:
            past = past[-1:]
        return [*past, *coming] if len(past) < _MOST_TICKS else past


class every(Schedule):  # noqa: N801  # reads as a word in `schedule=every(30)`
    """A tick every `seconds` seconds of Unix time, so that all machines agree.

    Args:
        seconds: Whole number of seconds between ticks.
        missed: Missed ticks for which tasks are inserted.
    """

    def __init__(self, seconds: int, *, missed: Missed = "latest") -> None:
        super().__init__(missed)
        if seconds < 1:
            raise ValueError(f"every() needs a whole number of seconds from 1, not {seconds!r}")
        self.seconds = seconds

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Multiples of the interval."""
        first = int(after.timestamp() // self.seconds) + 1
        last = int(until.timestamp() // self.seconds)
        for number in range(first, last + 1):
            yield datetime.fromtimestamp(number * self.seconds, UTC)


class cron(Schedule):  # noqa: N801  # likewise
    """Ticks at wall-clock times: minute, hour, day of the month, month, day of the week.

    Each field is `*`, or numbers, ranges and steps with commas between: `*/15`, `9-17`, `1,15`, `mon-fri`, `jan`.
    When both kinds of day are given, either will do, as in cron. Where clocks change, a time that does not exist ticks
    once, as much later as the clock is put forward; one that exists twice ticks the first time only; but a schedule of
    every hour goes on through both.

    Args:
        expression: The five fields.
        timezone: Name of the zone whose clock is meant.
        missed: Missed ticks for which tasks are inserted.
    Source: crontab(5).
    """

    def __init__(self, expression: str, timezone: str = "UTC", *, missed: Missed = "latest") -> None:
        super().__init__(missed)
        fields = expression.split()
        if len(fields) != len(_FIELDS):
            raise ValueError(f"a cron expression has five fields, not {len(fields)}: {expression!r}")
        parsed = [_parse(text, *field) for text, field in zip(fields, _FIELDS, strict=True)]
        self._minutes, self._hours, self._days, self._months, weekdays = parsed
        self._weekdays = {day % 7 for day in weekdays}
        self._every_hour = fields[1] == "*"
        self._either_day = fields[2] != "*" and fields[4] != "*"
        self._zone = ZoneInfo(timezone)

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Day by day, so that months without a tick cost little."""
        day = after.astimezone(self._zone).date() - timedelta(days=1)
        last = until.astimezone(self._zone).date() + timedelta(days=1)
        while day <= last:
            if self._has(day):
                yield from (tick for tick in self._ticks_of(day) if after < tick <= until)
            day += timedelta(days=1)

    def _has(self, day: date) -> bool:
        in_month, in_week = day.day in self._days, day.isoweekday() % 7 in self._weekdays
        matches = in_month or in_week if self._either_day else in_month and in_week
        return matches and day.month in self._months

    def _ticks_of(self, day: date) -> list[datetime]:
        walls = [datetime(day.year, day.month, day.day, h, m) for h in self._hours for m in self._minutes]  # noqa: DTZ001  # on the wall: the zone is put to it below
        if not self._every_hour:
            return sorted({wall.replace(tzinfo=self._zone).astimezone(UTC) for wall in walls})
        both = (wall.replace(tzinfo=self._zone, fold=fold) for wall in walls for fold in (0, 1))
        return sorted({time.astimezone(UTC) for time in both if _exists(time)})


def _exists(time: datetime) -> bool:
    """Whether a clock on the wall ever shows this time: not one that is skipped when clocks are put forward."""
    return time.astimezone(UTC).astimezone(time.tzinfo).replace(tzinfo=None) == time.replace(tzinfo=None)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, ("", *_MONTHS)),
    ("day of the week", 0, 7, _WEEKDAYS),
)


def _parse(text: str, what: str, least: int, most: int, names: tuple[str, ...]) -> list[int]:
    values = set[int]()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, dash, last = ("*", "", "") if span == "*" else span.partition("-")
        try:
            low = least if first == "*" else _number(first, names)
            high = _number(last, names) if dash else (most if first == "*" or step else low)
            numbers = range(low, high + 1, int(step or 1))
        except ValueError as error:
            raise ValueError(f"{what}: {item!r} is no value, range or step") from error
        if not numbers or low < least or high > most:
            raise ValueError(f"{what}: {item!r} is not within {least}-{most}")
        values.update(numbers)
    return sorted(values)


def _number(text: str, names: tuple[str, ...]) -> int:
    return names.index(text.lower()) if text.lower() in names and text else int(text)
