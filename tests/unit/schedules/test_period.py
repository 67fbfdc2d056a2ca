"""Periods in words: local days, daylight saving included."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schedules.period import period


def spoken(words: str, now: str, zone: str) -> tuple[str, str]:
    """A period as the clocks of the zone show it; `now` is what they show."""
    tz = ZoneInfo(zone)
    found = period(words, datetime.fromisoformat(now).replace(tzinfo=tz).astimezone(UTC), tz)
    first, end = (f"{at.astimezone(tz):%Y-%m-%d %H:%M}" for at in found)
    return first, end


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Athens", "2026-03-29", 23),
        ("Europe/Athens", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Africa/Cairo", "2026-04-24", 23),  # its clocks skip midnight
        ("Asia/Kolkata", "2026-03-29", 24),
    ],
)
@pytest.mark.parametrize("at", ["00:00", "07:00", "23:59"])
def test_yesterday_is_the_local_day_however_long_it_was(zone: str, day: str, hours: float, at: str) -> None:
    tz = ZoneInfo(zone)
    now = datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=tz) + timedelta(days=1)
    first, end = period("yesterday", now.astimezone(UTC), tz)
    assert end - first == timedelta(hours=hours)
    assert {first.astimezone(tz).date(), (end - timedelta(seconds=1)).astimezone(tz).date()} == {
        datetime.fromisoformat(day).date()
    }


@pytest.mark.parametrize(
    ("words", "now", "expected"),
    [
        ("yesterday", "2027-01-01T07:00", ("2026-12-31 00:00", "2027-01-01 00:00")),
        ("Yesterday ", "2028-03-01T00:00", ("2028-02-29 00:00", "2028-03-01 00:00")),
        ("today", "2026-03-29T12:30", ("2026-03-29 00:00", "2026-03-29 12:30")),
        ("last week", "2026-04-01T07:00", ("2026-03-23 00:00", "2026-03-30 00:00")),
        ("last week", "2026-03-30T00:00", ("2026-03-23 00:00", "2026-03-30 00:00")),
        ("last  WEEK", "2026-03-29T23:59", ("2026-03-16 00:00", "2026-03-23 00:00")),
        ("this week", "2026-04-01T07:00", ("2026-03-30 00:00", "2026-04-01 07:00")),
        ("last month", "2026-03-31T07:00", ("2026-02-01 00:00", "2026-03-01 00:00")),
        ("last month", "2026-01-15T07:00", ("2025-12-01 00:00", "2026-01-01 00:00")),
        ("this month", "2026-04-01T07:00", ("2026-04-01 00:00", "2026-04-01 07:00")),
        ("last year", "2026-04-01T07:00", ("2025-01-01 00:00", "2026-01-01 00:00")),
        ("this year", "2026-04-01T07:00", ("2026-01-01 00:00", "2026-04-01 07:00")),
        ("last 7 days", "2026-04-01T07:00", ("2026-03-25 00:00", "2026-04-01 00:00")),
    ],
)
def test_words_mean_whole_days_weeks_and_months(words: str, now: str, expected: tuple[str, str]) -> None:
    assert spoken(words, now, "Europe/Athens") == expected


def test_the_day_is_that_of_the_zone_and_not_of_the_machine() -> None:
    # At 22:30 UTC it is tomorrow in Athens and still today in New York.
    now = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)
    assert period("yesterday", now, ZoneInfo("Europe/Athens"))[0] == datetime(2026, 5, 31, 21, tzinfo=UTC)
    assert period("yesterday", now, ZoneInfo("America/New_York"))[0] == datetime(2026, 5, 31, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "words", ["", "tomorrow", "last", "last day", "week", "last 0 days", "last -1 days", "2026-01"]
)
def test_other_words_are_refused_with_those_that_were_expected(words: str) -> None:
    with pytest.raises(ValueError, match="expected yesterday, today, last or this week"):
        period(words, datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
