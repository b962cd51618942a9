"""Schedules of periodic tasks: `@task(schedule=every(30))`, `@task(schedule=cron("0 3 * * *", "Europe/Berlin"))`.

The sweeper inserts a task for every tick. Its id is derived from the task's name and the time of the tick, so that
several sweepers insert the task once.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

__all__ = ["Missed", "Schedule", "cron", "every"]

type Missed = Literal["latest", "all", "skip"]
"""Ticks to catch up on after a time without a sweeper: the latest tick, all ticks, or none (`skip`)."""

_MOST_TICKS = 1000  # of a task in one sweep; the next sweep continues from there
_LATE = timedelta(minutes=2)  # older ticks count as missed
_MEMORY = timedelta(days=366)  # older ticks are dropped

_FIELDS = 5
_MINUTES = 60
_HOURS = 24


class Schedule(ABC):
    """A series of ticks.

    Its `repr()` identifies the ticks: a schedule whose `repr()` changes starts anew.

    Attributes:
        missed: Missed ticks for which tasks are inserted.
    """

    def __init__(self, missed: Missed) -> None:
        if missed not in {"latest", "all", "skip"}:
            raise ValueError(f"missed must be 'latest', 'all' or 'skip', not {missed!r}")
        self.missed = missed

    def __repr__(self) -> str:
        return type(self).__name__

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
        past = self._past(max(after, now - _MEMORY), now)
        coming = self.ticks(max(after, now), now + ahead)
        return [*past, *coming] if len(past) < _MOST_TICKS else past

    def _past(self, after: datetime, now: datetime) -> list[datetime]:
        match self.missed:
            case "all":
                return list(islice(self.ticks(after, now), _MOST_TICKS))
            case "skip":
                return list(self.ticks(max(after, now - _LATE), now))
            case "latest":
                first = next(self.ticks(after, now), now)
                return self._latest(after, now) if first <= now - _LATE else list(self.ticks(after, now))

    def _latest(self, after: datetime, now: datetime) -> list[datetime]:
        """The last tick before now, looked for in a growing part of the time since `after`."""
        span = _LATE
        while not (ticks := list(self.ticks(max(after, now - span), now))):
            span *= 2
        return ticks[-1:]


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

    def __repr__(self) -> str:
        return f"every({self.seconds})"

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Multiples of the interval."""
        first = int(after.timestamp() // self.seconds) + 1
        last = int(until.timestamp() // self.seconds)
        for number in range(first, last + 1):
            yield datetime.fromtimestamp(number * self.seconds, UTC)


class cron(Schedule):  # noqa: N801  # reads as a word in `schedule=cron("0 3 * * *")`
    """Ticks at wall-clock times: minute, hour, day of the month, month, day of the week; see cronsim for the syntax.

    Clock changes follow the rules of Debian's cron. A fixed time that does not exist ticks once, at the end of the gap,
    and a fixed time that exists twice ticks once, the first time. A schedule whose minutes or hours begin with `*`, or
    cover their whole range, also ticks in the repeated hour.

    Args:
        expression: The five fields.
        timezone: Name of the time zone.
        missed: Missed ticks for which tasks are inserted.
    Source: crontab(5); https://github.com/cuu508/cronsim.
    """

    def __init__(self, expression: str, timezone: str = "UTC", *, missed: Missed = "latest") -> None:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415  # 3 ms of import, for applications that use it

        super().__init__(missed)
        fields = expression.split()
        if len(fields) != _FIELDS:
            raise ValueError(f"a cron expression has five fields, not {len(fields)}: {expression!r}")
        self._zone = ZoneInfo(timezone)
        self._text = f"cron({' '.join(fields)!r}, {timezone!r})"
        try:
            parsed = CronSim(expression, datetime.now(UTC))
        except CronSimError as error:
            raise ValueError(f"{expression!r} is not a cron expression: {error}") from error
        # cronsim takes `0-23` for a list of fixed times, and would skip the repeated hour
        fields[0] = "*" if len(parsed.minutes) == _MINUTES else fields[0]
        fields[1] = "*" if len(parsed.hours) == _HOURS else fields[1]
        self._ticks_after = partial(CronSim, " ".join(fields))

    def __repr__(self) -> str:
        return self._text

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Times that match the fields; several times in the gap of a clock change are one tick."""
        last = after
        for time in self._ticks_after(after.astimezone(self._zone)):
            tick = time.astimezone(UTC)
            if tick > until:
                return
            if tick > last:
                yield tick
                last = tick
