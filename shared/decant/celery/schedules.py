"""Schedules of `beat_schedule`, as in `celery.schedules`: `crontab`, and intervals."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from decant.celery.exceptions import Unsupported
from decant.tasks.schedule import Schedule, cron, every

__all__ = ["crontab", "maybe_schedule", "schedule"]

type Field = str | int | Iterable[int]

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class ParseException(ValueError):
    """A field of a crontab is malformed."""


class crontab(Schedule):  # noqa: N801  # Celery's name
    """Ticks at wall-clock times. All fields must match, also those of the day of the month and of the week.

    Args:
        minute: `"*/15"`, `"0,30"`, a number, or numbers; all minutes by default.
        hour: The same, of the day.
        day_of_week: The same, from Sunday, 0; or names such as `"mon-fri"`.
        day_of_month: The same, from 1.
        month_of_year: The same, from 1; or names.
        nowfun: Not supported.
        app: Its setting `timezone` is the zone of the times; that of the current app by default.
    """

    def __init__(
        self,
        minute: Field = "*",
        hour: Field = "*",
        day_of_week: Field = "*",
        day_of_month: Field = "*",
        month_of_year: Field = "*",
        *,
        nowfun: Any = None,
        app: Any = None,
    ) -> None:
        super().__init__("latest")
        if nowfun is not None:
            raise Unsupported("crontab(nowfun=…): PostgreSQL's clock is the clock of schedules. Remove the option.")
        self.app = app
        self.minute = _expand(minute, 0, 59)
        self.hour = _expand(hour, 0, 23)
        self.day_of_week = frozenset(
            day % 7 for day in _expand(day_of_week, 0, 7 if "7" in str(day_of_week) else 6, _DAYS)
        )
        self.day_of_month = _expand(day_of_month, 1, 31)
        self.month_of_year = _expand(month_of_year, 1, 12, _MONTHS, first_name=1)
        self._given = (minute, hour, day_of_week, day_of_month, month_of_year)

    def __repr__(self) -> str:
        minute, hour, day_of_week, day_of_month, month_of_year = self._given
        return f"<crontab: {minute} {hour} {day_of_month} {month_of_year} {day_of_week} (m/h/dM/MY/d), {self._zone()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, crontab) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def _fields(self) -> tuple[frozenset[int], ...]:
        return self.minute, self.hour, self.day_of_week, self.day_of_month, self.month_of_year

    def _zone(self) -> str:
        from decant.celery.app import get_current  # the app imports this module

        return str((self.app or get_current()).conf.timezone or "UTC")

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Times that match all fields; a day that does not is skipped as a whole."""
        zone = ZoneInfo(self._zone())
        expression = " ".join(_text(values, top) for values, top in ((self.minute, 60), (self.hour, 24)))
        daily = cron(f"{expression} * * *", str(zone))
        day = after.astimezone(zone).date()
        while (start := datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)) <= until:
            day += timedelta(days=1)
            end = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
            if self._matches(day - timedelta(days=1)):
                last = end - timedelta(seconds=1)
                yield from daily.ticks(max(after, start - timedelta(seconds=1)), min(until, last))

    def _matches(self, day: Any) -> bool:
        weekday = day.isoweekday() % 7
        return day.day in self.day_of_month and day.month in self.month_of_year and weekday in self.day_of_week


def _text(values: frozenset[int], count: int) -> str:
    return "*" if len(values) == count else ",".join(map(str, sorted(values)))


def _expand(field: Field, first: int, last: int, names: tuple[str, ...] = (), *, first_name: int = 0) -> frozenset[int]:
    """The numbers of a field.

    Raises:
        ParseException: the field is malformed, or has a number out of range.
    """
    if isinstance(field, str):
        numbers = {
            number for part in field.split(",") for number in _part(part.strip(), first, last, names, first_name)
        }
    else:
        numbers = {field} if isinstance(field, int) else set(field)
    wrong = [number for number in numbers if not first <= number <= last]
    if wrong or not numbers:
        raise ParseException(f"crontab: {field!r} must be numbers from {first} to {last}")
    return frozenset(numbers)


def _part(part: str, first: int, last: int, names: tuple[str, ...], first_name: int) -> Iterable[int]:
    span, _, step = part.partition("/")
    begin, _, end = span.partition("-")
    if begin == "*":
        low, high = first, last
    else:
        low = _number(begin, names, first_name)
        high = _number(end, names, first_name) if end else last if step else low
    if high < low:  # it goes on at the start, as in `fri-mon`
        return [*range(low, last + 1), *range(first, high + 1)][:: _number(step or "1", (), 0)]
    return range(low, high + 1, _number(step or "1", (), 0))


def _number(text: str, names: tuple[str, ...], first_name: int) -> int:
    if text.isdecimal():
        return int(text)
    if text[:3].lower() in names:
        return names.index(text[:3].lower()) + first_name
    raise ParseException(f"crontab: {text!r} is neither a number nor a name")


class schedule(every):  # noqa: N801  # Celery's name
    """A tick every so many seconds.

    Args:
        run_every: Number of seconds, or a timedelta.
        relative: Accepted; ticks are always multiples of the interval.
        nowfun: Not supported.
        app: Not used.
    """

    def __init__(
        self, run_every: float | timedelta, relative: bool = False, nowfun: Any = None, app: Any = None
    ) -> None:
        del relative, app
        if nowfun is not None:
            raise Unsupported("schedule(nowfun=…): PostgreSQL's clock is the clock of schedules. Remove the option.")
        seconds = run_every.total_seconds() if isinstance(run_every, timedelta) else float(run_every)
        if seconds < 1 or seconds % 1:
            raise Unsupported(f"A schedule of every {seconds:g} s: use a whole number of seconds from 1.")
        super().__init__(int(seconds))
        self.run_every = timedelta(seconds=seconds)


def solar(*_args: Any, **_kwargs: Any) -> Schedule:
    """Not supported."""
    raise Unsupported("solar schedules do not exist here. Use crontab, and let the task check the position of the sun.")


def maybe_schedule(value: Any) -> Schedule:
    """The schedule of an entry of `beat_schedule`: a number of seconds, a timedelta or a schedule.

    Raises:
        Unsupported: it is of another kind.
    """
    if isinstance(value, Schedule):
        return value
    if isinstance(value, int | float | timedelta):
        return schedule(value)
    raise Unsupported(
        f"A schedule of the type {type(value).__name__}: use crontab, a timedelta or a number of seconds."
    )
