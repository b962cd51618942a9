"""Schedules: intervals, wall-clock times, clock changes, and missed ticks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decant.tasks.schedule import Missed, Schedule, cron, every


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(schedule: Schedule, after: str, until: str) -> list[str]:
    """Ticks as short UTC texts."""
    return [f"{tick:%d %H:%M}" for tick in schedule.ticks(at(after), at(until))]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("0 12 * * *", ["01 12:00", "02 12:00"], id="each noon"),
        pytest.param("*/30 23 1 * *", ["01 23:00", "01 23:30"], id="a step and a day of the month"),
        pytest.param("0 0 * * mon", ["02 00:00"], id="a day of the week by name"),
        pytest.param("0 0 * * 7", ["01 00:00"], id="Sunday as 7"),
        pytest.param("0 0 * * 0", ["01 00:00"], id="Sunday as 0"),
        pytest.param("15,45 6-7 1 jun *", ["01 06:15", "01 06:45", "01 07:15", "01 07:45"], id="lists and ranges"),
        pytest.param("0 0 2 * sun", ["01 00:00", "02 00:00"], id="either kind of day"),
        pytest.param("50-59/5 23 2 * *", ["02 23:50", "02 23:55"], id="a range with a step"),
    ],
)
def test_cron_ticks_when_its_fields_match(expression: str, expected: list[str]) -> None:
    """Two days of June 2025, which began on a Sunday."""
    assert ticks(cron(expression), "2025-05-31T23:59", "2025-06-02T23:59") == expected


@pytest.mark.parametrize(
    "expression",
    [
        *("* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "x * * * *"),
        *("*/0 * * * *", "5-1 * * * *", "1- * * * *", "-1 * * * *", ", * * * *", "* * * * monday", "0 0 30 2 *"),
    ],
)
def test_cron_that_makes_no_sense_is_refused(expression: str) -> None:
    """The error is raised when the module is imported."""
    with pytest.raises(ValueError, match=r"five fields|is not a cron expression"):
        cron(expression)


def test_cron_with_an_unknown_zone_is_refused() -> None:
    """The error is raised when the module is imported."""
    with pytest.raises(LookupError):
        cron("0 3 * * *", "Europe/Atlantis")


def test_cron_follows_the_clock_on_the_wall() -> None:
    """Three o'clock in Berlin is an hour earlier in UTC in summer."""
    schedule = cron("0 3 * * *", "Europe/Berlin")

    assert ticks(schedule, "2026-01-10T00:00", "2026-01-10T23:00") == ["10 02:00"]
    assert ticks(schedule, "2026-07-10T00:00", "2026-07-10T23:00") == ["10 01:00"]


def test_cron_at_a_time_that_is_skipped_ticks_once() -> None:
    """On 29 March 2026 there was no half past two in Berlin: it ticks at three, when the gap ended."""
    schedule = cron("15,30 2 * * *", "Europe/Berlin")

    assert ticks(schedule, "2026-03-28T12:00", "2026-03-29T12:00") == ["29 01:00"]


def test_cron_at_a_time_that_is_there_twice_ticks_once() -> None:
    """On 25 October 2026 there was half past two twice in Berlin: it ticks the first time."""
    schedule = cron("30 2 * * *", "Europe/Berlin")

    assert ticks(schedule, "2026-10-24T12:00", "2026-10-25T12:00") == ["25 00:30"]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
@pytest.mark.parametrize("hours", ["*", "*/1", "0-23", "0-11,12-23"])
def test_hourly_cron_ticks_every_hour_through_a_clock_change(hours: str, day: str) -> None:
    """A field that covers its whole range counts as `*`."""
    found = list(
        cron(f"0 {hours} * * *", "Europe/Berlin").ticks(at(f"{day}T00:00") - timedelta(hours=3), at(f"{day}T06:00"))
    )

    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001  # the zone is put to it below
    hours=st.integers(0, 72),
    expression=st.sampled_from(["*/7 * * * *", "0 3 * * *", "30 2 * * sun", "0 0 1 * *", "15 1,2,3 * * *"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
def test_cron_ticks_are_within_their_bounds_and_in_order(
    start: datetime, hours: int, expression: str, zone: str
) -> None:
    """Ticks ascend, lie within the bounds, and do not depend on how the time is divided."""
    schedule, begin = cron(expression, zone), start.replace(tzinfo=UTC)
    end = begin + timedelta(hours=hours)
    middle = begin + (end - begin) / 3

    whole = list(schedule.ticks(begin, end))

    assert whole == sorted(set(whole))
    assert all(begin < tick <= end for tick in whole)
    assert whole == [*schedule.ticks(begin, middle), *schedule.ticks(middle, end)]


def test_every_ticks_at_multiples() -> None:
    """Ticks are multiples of the interval in Unix time."""
    assert ticks(every(600), "2026-01-01T00:00", "2026-01-01T00:31") == ["01 00:10", "01 00:20", "01 00:30"]


@pytest.mark.parametrize("seconds", [0, -5])
def test_every_takes_whole_seconds_from_one(seconds: int) -> None:
    """Other intervals are rejected."""
    with pytest.raises(ValueError, match="from 1"):
        every(seconds)


NOW = at("2026-01-01T12:00:30")
AHEAD = timedelta(seconds=60)


def due(schedule: Schedule, after: str) -> list[str]:
    """Ticks of a sweep at half a minute past noon."""
    return [f"{tick:%H:%M:%S}" for tick in schedule.due(at(after), NOW, AHEAD)]


def test_due_ticks_are_made_ahead_of_their_time() -> None:
    """Ticks before the next sweep are included."""
    assert due(every(20), "2026-01-01T12:00:20") == ["12:00:40", "12:01:00", "12:01:20"]


def test_missed_ticks_are_made_up_for_by_the_latest() -> None:
    """After an hour, the latest tick is included."""
    assert due(cron("* * * * *"), "2026-01-01T11:00:00") == ["12:00:00", "12:01:00"]


def test_missed_ticks_are_all_made_up_for_where_asked() -> None:
    """After an hour, sixty missed ticks are included."""
    assert len(due(cron("* * * * *", missed="all"), "2026-01-01T11:00:00")) == 61


def test_missed_ticks_are_skipped_where_asked() -> None:
    """Ticks of the last two minutes are on time."""
    assert due(cron("* * * * *", missed="skip"), "2026-01-01T11:00:00") == ["11:59:00", "12:00:00", "12:01:00"]


def test_many_missed_ticks_are_made_up_for_a_thousand_at_a_time() -> None:
    """The next sweep continues after the last tick."""
    schedule = every(60, missed="all")

    first = schedule.due(NOW - timedelta(days=2), NOW, AHEAD)
    second = schedule.due(first[-1], NOW, AHEAD)

    assert (len(first), second[0] - first[-1]) == (1000, timedelta(seconds=60))


def test_latest_of_many_missed_ticks_is_found_without_all_others() -> None:
    """A schedule of every second was missed for thirty days."""
    found = every(1).due(NOW - timedelta(days=30), NOW, timedelta(0))

    assert found == [NOW]


class Counting(every):
    """A schedule that counts the times that it computes."""

    count = 0

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Ticks, counted."""
        for tick in super().ticks(after, until):
            self.count += 1
            yield tick


@pytest.mark.parametrize("missed", ["latest", "all", "skip"])
def test_long_downtime_computes_few_ticks(missed: Missed) -> None:
    """Every second of thirty days would be 2.6 million times."""
    schedule = Counting(1, missed=missed)

    schedule.due(NOW - timedelta(days=30), NOW, AHEAD)

    assert schedule.count <= 1500


def test_schedules_are_identified_by_their_ticks() -> None:
    """Another interval, expression or zone is another schedule; another way to catch up is not."""
    texts = {
        repr(every(30)),
        repr(every(30, missed="all")),
        repr(cron("0  3 * * *")),
        repr(cron("0 3 * * *", "Asia/Tokyo")),
    }

    assert texts == {"every(30)", "cron('0 3 * * *', 'UTC')", "cron('0 3 * * *', 'Asia/Tokyo')"}


def test_latest_missed_tick_of_a_rare_schedule_is_found() -> None:
    """A yearly schedule was missed for months."""
    assert cron("0 0 1 3 *").due(at("2025-01-15T00:00"), NOW, AHEAD) == [at("2025-03-01T00:00")]


def test_schedule_that_was_forgotten_for_years_begins_within_the_last() -> None:
    """Ticks older than a year are dropped."""
    found = cron("0 0 1 1 *", missed="all").due(at("2000-01-01T00:00"), NOW, AHEAD)

    assert [tick.year for tick in found] == [2025, 2026]
