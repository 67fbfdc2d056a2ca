"""Cron expressions in a time zone: every time that is named comes once, whatever the clocks do."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from schedules.cron import Cron

ATHENS = ZoneInfo("Europe/Athens")
# An hour to and fro; half an hour to and fro, at a half-hour offset; and one whose clocks skip midnight itself.
ZONES = ["Europe/Athens", "America/New_York", "Australia/Lord_Howe", "Australia/Adelaide", "Africa/Cairo"]
NEW_YEAR = date(2026, 1, 1)


def local(text: str, zone: ZoneInfo = ATHENS) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def runs(expression: str, first: str, last: str, zone: ZoneInfo = ATHENS) -> list[str]:
    """The runs of some days, as the clocks show them, with the offset."""
    found = Cron.parse(expression, zone).between(local(first, zone), local(last, zone))
    return [f"{at.astimezone(zone):%m-%d %H:%M %z}" for at in found]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", ["00:00", "00:30", "01:45", "02:15", "03:30", "23:59"])
def test_a_daily_time_comes_once_on_every_day_of_a_year(zone: str, at: str) -> None:
    tz, named = ZoneInfo(zone), time.fromisoformat(at)
    # A minute before midnight of the first day, so that midnight itself is among the runs.
    start = datetime(2025, 12, 31, 23, 59, 30, tzinfo=tz).astimezone(UTC)
    end = datetime(2026, 12, 31, 23, 59, 30, tzinfo=tz).astimezone(UTC)
    found = Cron.parse(f"{named.minute} {named.hour} * * *", tz).between(start, end)
    assert [at.astimezone(tz).date() for at in found] == [NEW_YEAR + timedelta(days=n) for n in range(365)]
    moved = [at for at in found if at.astimezone(tz).time() != named]
    assert len(moved) <= 1  # the one day on which that time does not exist


@pytest.mark.parametrize(
    ("zone", "expression", "first", "last", "expected"),
    [
        # 03:00 to 04:00 is skipped: half an hour after what would have been 03:00 it is 04:30.
        ("Europe/Athens", "30 3 * * *", "2026-03-29", "2026-03-31", ["03-29 04:30 +0300", "03-30 03:30 +0300"]),
        # 03:00 to 04:00 is there twice: the first time it is meant.
        ("Europe/Athens", "30 3 * * *", "2026-10-25", "2026-10-27", ["10-25 03:30 +0300", "10-26 03:30 +0200"]),
        ("America/New_York", "30 2 * * *", "2026-03-08", "2026-03-10", ["03-08 03:30 -0400", "03-09 02:30 -0400"]),
        ("America/New_York", "30 1 * * *", "2026-11-01", "2026-11-03", ["11-01 01:30 -0400", "11-02 01:30 -0500"]),
        # Half an hour: 02:00 to 02:30 is skipped, 01:30 to 02:00 is there twice.
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-04", "2026-10-06", ["10-04 02:45 +1100", "10-05 02:15 +1100"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-05", "2026-04-07", ["04-05 01:45 +1100", "04-06 01:45 +1030"]),
    ],
)  # fmt: skip
def test_what_the_clocks_skip_comes_later_and_what_they_repeat_comes_first(
    zone: str, expression: str, first: str, last: str, expected: list[str]
) -> None:
    assert runs(expression, first, last, ZoneInfo(zone)) == expected


@pytest.mark.parametrize(
    ("zone", "forward", "back", "repeated"),
    [("Europe/Athens", "2026-03-29", "2026-10-25", 4), ("Australia/Lord_Howe", "2026-10-04", "2026-04-05", 2)],
)
def test_frequent_runs_never_come_twice_at_one_instant_and_never_out_of_order(
    zone: str, forward: str, back: str, repeated: int
) -> None:
    tz = ZoneInfo(zone)
    for day, expected in ((forward, 96 - repeated), (back, 96)):
        start = datetime.fromisoformat(day).replace(tzinfo=tz)
        found = Cron.parse("*/15 * * * *", tz).between(start - timedelta(seconds=1), start + timedelta(hours=23.9))
        assert found == sorted(set(found))
        # The times of the hour, or half hour, that is repeated are not run a second time.
        assert len(found) == expected


def test_the_next_and_the_latest_are_the_neighbours_among_all() -> None:
    cron = Cron.parse("0 7 * * mon-fri", ATHENS)
    every = cron.between(local("2026-03-01"), local("2026-04-15"))
    for before, after in pairwise(every):
        between = before + (after - before) / 2
        assert cron.next(before) == cron.next(between) == after
        assert cron.latest(every[0] - timedelta(1), between) == before
        assert cron.latest(before, between) is None
        assert cron.latest(before, after) == after


def test_runs_that_are_years_apart_are_found() -> None:
    cron = Cron.parse("0 0 29 2 *", ZoneInfo("UTC"))
    assert cron.next(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2028, 2, 29, tzinfo=UTC)
    assert cron.latest(datetime(2020, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)) == datetime(
        2024, 2, 29, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("weekdays", "expected"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("1", "Mon"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("mon-fri", "Mon Tue Wed Thu Fri"),
        ("FRI-sun", "Sun Fri Sat"),
        ("5-7", "Sun Fri Sat"),
        ("0,6", "Sun Sat"),
        ("*/2", "Sun Tue Thu Sat"),
        ("1/2", "Mon Wed Fri"),
        ("*", "Sun Mon Tue Wed Thu Fri Sat"),
    ],
)
def test_weekdays_are_counted_as_crontab_does(weekdays: str, expected: str) -> None:
    cron = Cron.parse(f"0 7 * * {weekdays}", ATHENS)
    # The first of March 2026 is a Sunday.
    found = cron.between(local("2026-03-01"), local("2026-03-08"))
    assert " ".join(f"{at.astimezone(ATHENS):%a}" for at in found) == expected


def test_a_day_or_a_weekday_is_enough_where_both_are_given() -> None:
    assert runs("0 7 1,15 * mon", "2026-06-01", "2026-06-17") == [
        "06-01 07:00 +0300",  # both
        "06-08 07:00 +0300",
        "06-15 07:00 +0300",
    ]
    assert runs("0 7 2 * mon", "2026-06-01", "2026-06-05") == ["06-01 07:00 +0300", "06-02 07:00 +0300"]


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("0 7 * *", "five fields"),
        ("0 7 * * * *", "five fields"),
        ("60 7 * * *", "60"),
        ("0 7 * * 8", "'8'"),
        ("0 7 * * fri-mon", "'fri-mon'"),
        ("0 7 * * mon/0", "'mon/0'"),
        ("x 7 * * *", "five fields"),
        ("0 0 30 2 *", "never"),
    ],
)
def test_an_expression_that_cannot_be_is_refused_with_what_was_expected(expression: str, named: str) -> None:
    with pytest.raises(ValueError, match="expected") as raised:
        Cron.parse(expression, ATHENS)
    assert named in str(raised.value)
