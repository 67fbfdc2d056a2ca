"""Periods in plain words: what they mean at a moment, in zones whose clocks change, at the ends of months and years."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from reports.calendar.periods import (
    FactExtent,
    bulk,
    stretch,
)
from tests.support.requests import a_request

# Wednesday, half past ten in the morning in Athens.
NOW = datetime(2026, 3, 4, 8, 30, tzinfo=UTC)


def _local(text: str, now: datetime = NOW, tz: str = "Europe/Athens") -> tuple[str, str | None]:
    zone = ZoneInfo(tz)
    found = stretch(text, now, zone, name="from")
    ends = (found.from_, found.to)
    from_, to = (None if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M") for at in ends)
    assert from_ is not None
    return from_, to


@pytest.mark.parametrize(
    ("text", "from_", "to"),
    [
        ("today", "2026-03-04 00:00", "2026-03-04 10:30"),
        ("yesterday", "2026-03-03 00:00", "2026-03-04 00:00"),
        (" Last  Day ", "2026-03-03 00:00", "2026-03-04 00:00"),
        ("this week", "2026-03-02 00:00", "2026-03-04 10:30"),
        ("last week", "2026-02-23 00:00", "2026-03-02 00:00"),
        ("this month", "2026-03-01 00:00", "2026-03-04 10:30"),
        ("last month", "2026-02-01 00:00", "2026-03-01 00:00"),
        ("last 3 months", "2025-12-01 00:00", "2026-03-01 00:00"),
        ("last quarter", "2025-10-01 00:00", "2026-01-01 00:00"),
        ("this year", "2026-01-01 00:00", "2026-03-04 10:30"),
        ("last year", "2025-01-01 00:00", "2026-01-01 00:00"),
        ("last 7 days", "2026-02-25 00:00", "2026-03-04 00:00"),
        ("last 2 hours", "2026-03-04 08:00", "2026-03-04 10:00"),
        ("monday", "2026-03-02 00:00", None),
        ("wednesday", "2026-03-04 00:00", None),
        ("thursday", "2026-02-26 00:00", None),
        ("3 days ago", "2026-03-01 00:00", None),
        ("1 week ago", "2026-02-25 00:00", None),
        ("now", "2026-03-04 10:30", None),
        ("2026-02", "2026-02-01 00:00", "2026-03-01 00:00"),
        ("2025-12", "2025-12-01 00:00", "2026-01-01 00:00"),
        ("2026-03", "2026-03-01 00:00", "2026-03-04 10:30"),
        ("2026-W01", "2025-12-29 00:00", "2026-01-05 00:00"),
        ("2026-03-01", "2026-03-01 00:00", None),
    ],
)
def test_words_are_stretches_of_local_time(text: str, from_: str, to: str | None) -> None:
    assert _local(text) == (from_, to)


@pytest.mark.parametrize(
    ("tz", "now", "hours"),
    [
        ("Europe/Athens", datetime(2026, 3, 30, 9, tzinfo=UTC), 23),
        ("Europe/Athens", datetime(2026, 10, 26, 9, tzinfo=UTC), 25),
        ("America/New_York", datetime(2026, 3, 9, 9, tzinfo=UTC), 23),
        ("America/New_York", datetime(2026, 11, 2, 9, tzinfo=UTC), 25),
        ("Australia/Lord_Howe", datetime(2026, 10, 4, 20, tzinfo=UTC), 23.5),
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 20, tzinfo=UTC), 24.5),
    ],
)
def test_yesterday_has_as_many_hours_as_its_clocks_say(tz: str, now: datetime, hours: float) -> None:
    found = stretch("yesterday", now, ZoneInfo(tz), name="from")
    assert found.to is not None
    assert (found.to - found.from_).total_seconds() == hours * 3600


def test_yesterday_is_the_local_one() -> None:
    midnight_in_athens = datetime(2026, 3, 3, 22, 0, tzinfo=UTC)
    assert _local("yesterday", midnight_in_athens) == ("2026-03-03 00:00", "2026-03-04 00:00")
    assert _local("yesterday", midnight_in_athens, "UTC") == ("2026-03-02 00:00", "2026-03-03 00:00")
    assert _local("today", midnight_in_athens) == ("2026-03-04 00:00", None)


def test_last_month_at_the_end_of_one_and_of_a_year() -> None:
    assert _local("last month", datetime(2026, 3, 31, 20, tzinfo=UTC)) == ("2026-02-01 00:00", "2026-03-01 00:00")
    assert _local("last month", datetime(2025, 12, 31, 23, tzinfo=UTC)) == ("2025-12-01 00:00", "2026-01-01 00:00")


def test_a_stretch_without_an_end_stands_for_itself_and_as_an_end_for_its_beginning() -> None:
    alone = a_request(NOW, from_="yesterday", tz="Europe/Athens")
    assert (alone.from_, alone.to) == (datetime(2026, 3, 2, 22, tzinfo=UTC), datetime(2026, 3, 3, 22, tzinfo=UTC))
    both = a_request(NOW, from_="monday", to="today", tz="Europe/Athens")
    assert (both.from_, both.to) == (datetime(2026, 3, 1, 22, tzinfo=UTC), datetime(2026, 3, 3, 22, tzinfo=UTC))
    assert a_request(NOW, from_="monday").to is None


def _extent(day: str, facts: int = 1) -> FactExtent:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return FactExtent(at, at + timedelta(hours=2), at + timedelta(hours=3), facts)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], None),
        ([("2099-01-01", 1)], ("2099-01-01", "2099-01-01", 1)),
        ([("1970-01-01", 2), ("2026-03-02", 5), ("2026-03-04", 1), ("2099-01-01", 1)], ("2026-03-02", "2026-03-04", 6)),
        # Years of history, each day within a year of the next, are one; of as many facts those nearest to now count.
        ([("2021-01-01", 1), ("2022-01-01", 1), ("2022-12-31", 1)], ("2021-01-01", "2022-12-31", 3)),
        ([("2021-01-01", 1), ("2022-01-05", 1)], ("2022-01-05", "2022-01-05", 1)),
        ([("2026-01-01", 1), ("2099-01-05", 1)], ("2026-01-01", "2026-01-01", 1)),
    ],
)
def test_the_bulk_of_facts_is_without_those_whose_clock_was_years_off(
    days: list[tuple[str, int]], expected: tuple[str, str, int] | None
) -> None:
    found = bulk([_extent(*each) for each in days], NOW)
    if expected is None:
        assert found is None
    else:
        first, last = (_extent(day) for day in expected[:2])
        assert found == FactExtent(first.first, last.last, last.over, expected[2])
