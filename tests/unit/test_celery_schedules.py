"""Ticks of `crontab`: all fields must match, in the zone of the app."""

from datetime import UTC, datetime, timedelta

import pytest

from decant.celery import Celery
from decant.celery.schedules import crontab, maybe_schedule


@pytest.fixture
def berlin(new_celery_apps: None) -> Celery:
    """An app in Berlin."""
    del new_celery_apps
    return Celery("berlin", timezone="Europe/Berlin", set_as_current=False)


def ticks(schedule: crontab, start: datetime, days: int) -> list[str]:
    """Ticks in UTC."""
    return [f"{tick:%m-%d %H:%M}" for tick in schedule.ticks(start, start + timedelta(days=days))]


def test_day_of_month_and_day_of_week_must_both_match() -> None:
    """Unlike in cron, where one of them is enough: Friday the 13th."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    found = ticks(crontab(minute=0, hour=12, day_of_week="fri", day_of_month=13), start, 365)

    assert found == ["02-13 12:00", "03-13 12:00", "11-13 12:00"]


def test_times_are_in_the_zone_of_the_app(berlin: Celery) -> None:
    """3 a.m. in Berlin is another time in UTC in summer and in winter."""
    schedule = crontab(minute=0, hour=3, app=berlin)

    assert ticks(schedule, datetime(2026, 1, 1, tzinfo=UTC), 1) == ["01-01 02:00"]
    assert ticks(schedule, datetime(2026, 7, 1, tzinfo=UTC), 1) == ["07-01 01:00"]


def test_time_in_the_gap_of_a_clock_change_ticks_once(berlin: Celery) -> None:
    """2:30 a.m. does not exist on the last Sunday of March."""
    schedule = crontab(minute=30, hour=2, app=berlin)

    assert len(ticks(schedule, datetime(2026, 3, 28, 12, tzinfo=UTC), 1)) == 1


def test_steps_within_hours() -> None:
    """Every quarter of two hours on Mondays."""
    monday = datetime(2026, 1, 5, tzinfo=UTC)

    found = ticks(crontab(minute="*/15", hour="8-9", day_of_week="mon"), monday, 2)

    assert found == [f"01-05 {hour:02}:{minute:02}" for hour in (8, 9) for minute in (0, 15, 30, 45)]


def test_first_tick_lies_after_the_start() -> None:
    """A tick at the start itself is not repeated."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert ticks(crontab(minute=0, hour=0), start, 1) == ["01-02 00:00"]


def test_repr_tells_schedules_apart() -> None:
    """A schedule whose fields or zone change is another schedule for the sweeper."""
    assert repr(crontab(minute=5)) != repr(crontab(minute=6))
    assert repr(maybe_schedule(30)) == repr(maybe_schedule(timedelta(seconds=30)))
