"""Local time in half-open intervals, against a plain visit_data of `zoneinfo`."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.calendar.intervals import (
    Interval,
    fitting,
    interval,
    midnight,
    require_bounded,
    spine,
    zone,
)
from reports.errors import RequestError

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
KOLKATA = ZoneInfo("Asia/Kolkata")
ZONES = [NEW_YORK, LORD_HOWE, KOLKATA, *map(ZoneInfo, ("Asia/Jerusalem", "America/Havana", "Asia/Kathmandu", "UTC"))]
SHORT = [Interval.QUARTER_HOUR, Interval.HALF_HOUR, Interval.HOUR]


def _half_hours(day: date, tz: ZoneInfo) -> int:
    return len(spine(midnight(day, tz), midnight(day + timedelta(days=1), tz), tz, Interval.HALF_HOUR))


@pytest.mark.parametrize(
    ("tz", "day", "half_hours"),
    [
        (NEW_YORK, date(2026, 3, 8), 46),
        (NEW_YORK, date(2026, 7, 1), 48),
        (NEW_YORK, date(2026, 11, 1), 50),
        (LORD_HOWE, date(2026, 4, 5), 49),
        (LORD_HOWE, date(2026, 10, 4), 47),
        (KOLKATA, date(2026, 3, 8), 48),
    ],
)
def test_a_day_has_as_many_half_hours_as_the_clocks_make(tz: ZoneInfo, day: date, half_hours: int) -> None:
    assert _half_hours(day, tz) == half_hours


def test_both_passes_of_the_repeated_hour_are_there() -> None:
    day = date(2026, 11, 1)
    hours = spine(midnight(day, NEW_YORK), midnight(day + timedelta(days=1), NEW_YORK), NEW_YORK, Interval.HOUR)
    labels = [f"{start.astimezone(NEW_YORK):%H:%M%z}" for start in hours.bounds[:4]]
    assert labels == ["00:00-0400", "01:00-0400", "01:00-0500", "02:00-0500"]


def test_a_half_hour_change_cuts_an_hour_in_two() -> None:
    day = date(2026, 4, 5)
    hours = spine(midnight(day, LORD_HOWE), midnight(day + timedelta(days=1), LORD_HOWE), LORD_HOWE, Interval.HOUR)
    labels = [f"{start.astimezone(LORD_HOWE):%H:%M%z}" for start in hours.bounds[:4]]
    assert labels == ["00:00+1100", "01:00+1100", "01:30+1030", "02:00+1030"]


def test_a_skipped_midnight_is_when_the_clocks_jump() -> None:
    havana = ZoneInfo("America/Havana")
    assert f"{midnight(date(2026, 3, 8), havana).astimezone(havana):%H:%M%z}" == "01:00-0400"


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    begin, end = midnight(date(2026, 2, 12), KOLKATA), midnight(date(2026, 3, 10), KOLKATA)
    weeks = [start.astimezone(KOLKATA) for start in spine(begin, end, KOLKATA, Interval.WEEK).bounds]
    months = [start.astimezone(KOLKATA).date() for start in spine(begin, end, KOLKATA, Interval.MONTH).bounds]
    assert {(start.weekday(), start.hour, start.minute) for start in weeks} == {(0, 0, 0)}
    assert months == [date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)]


def _start_by_hand(at: datetime, tz: ZoneInfo, length: Interval) -> datetime:
    """Return the start of an instant's interval by asking of every earlier minute whether it is in the same one."""

    def key(moment: datetime) -> tuple[object, ...]:
        local = moment.astimezone(tz)
        if length is Interval.DAY:
            return (local.date(),)
        minutes = {Interval.QUARTER_HOUR: 15, Interval.HALF_HOUR: 30, Interval.HOUR: 60}[length]
        return local.date(), local.hour, local.minute // minutes, local.utcoffset()

    start = at.replace(second=0, microsecond=0)
    while key(start - timedelta(minutes=1)) == key(at):
        start -= timedelta(minutes=1)
    return start


_CHANGES = [
    datetime(2026, month, day, hour, tzinfo=UTC)
    for month, day, hour in (
        (3, 8, 5),
        (3, 8, 7),
        (3, 27, 0),
        (4, 4, 15),
        (10, 3, 15),
        (10, 24, 23),
        (11, 1, 5),
        (11, 1, 6),
    )
]
_INSTANTS = st.one_of(
    st.builds(lambda secs: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=secs), st.integers(0, 190_000_000)),
    st.builds(
        lambda change, secs: change + timedelta(seconds=secs), st.sampled_from(_CHANGES), st.integers(-9000, 9000)
    ),
)


@settings(deadline=None)
@given(_INSTANTS, st.sampled_from(ZONES), st.sampled_from([*SHORT, Interval.DAY]))
def test_an_instant_falls_into_the_interval_that_the_clock_on_the_wall_says(
    at: datetime, tz: ZoneInfo, length: Interval
) -> None:
    intervals = spine(at - timedelta(hours=30), at + timedelta(hours=30), tz, length)
    (position,) = pl.select(pl.lit(at).alias("enqueued_at")).select(intervals.position()).to_series()
    assert intervals.bounds[position] == _start_by_hand(at, tz, length)
    assert intervals.bounds[position] <= at < intervals.bounds[position + 1]


@settings(deadline=None)
@given(_INSTANTS, st.integers(1, 5_000_000), st.sampled_from(ZONES), st.sampled_from(list(Interval)))
def test_intervals_cover_the_period_without_gap_or_excess(
    from_: datetime, secs: int, tz: ZoneInfo, length: Interval
) -> None:
    to = from_ + timedelta(seconds=secs)
    bounds = spine(from_, to, tz, length).bounds
    assert all(one < next_ for one, next_ in pairwise(bounds))
    assert bounds[0] <= from_ < bounds[1]
    assert bounds[-2] < to <= bounds[-1]


@pytest.mark.parametrize("tz", ZONES, ids=str)
def test_longer_intervals_are_made_of_whole_shorter_ones(tz: ZoneInfo) -> None:
    begin, end = midnight(date(2026, 1, 1), tz), midnight(date(2027, 1, 1), tz)
    cuts = [set(spine(begin, end, tz, length).bounds) for length in (*SHORT, Interval.DAY, Interval.MONTH)]
    assert all(longer <= shorter for shorter, longer in pairwise(cuts))


def test_too_many_intervals_are_refused_with_advice() -> None:
    with pytest.raises(RequestError, match="choose a longer interval or a shorter period"):
        spine(datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), KOLKATA, Interval.QUARTER_HOUR)


def test_a_chart_gets_the_shortest_interval_that_fits() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    lengths = [fitting(begin, begin + timedelta(days=days)) for days in (1, 4, 30, 365, 3650)]
    assert lengths == [Interval.HALF_HOUR, Interval.HOUR, Interval.DAY, Interval.WEEK, Interval.MONTH]


@pytest.mark.parametrize("name", ["Mars/Base", "", "Europe", "../etc/passwd"])
def test_an_unknown_zone_is_named_in_the_error(name: str) -> None:
    with pytest.raises(RequestError, match="expected an IANA name such as Europe/Berlin"):
        zone(name)


def test_an_unknown_interval_is_answered_with_those_there_are() -> None:
    with pytest.raises(RequestError, match="'2h' is not known: expected one of 15m, 30m, 1h, 1d, 1w, 1mo"):
        interval("2h")


def test_a_table_of_too_many_rows_is_refused_with_what_to_narrow() -> None:
    year = spine(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), zone("UTC"), Interval.HALF_HOUR)
    require_bounded(57, year)
    with pytest.raises(RequestError, match=r"58 queues in 17,520 intervals are 1,016,160 rows.*--queue"):
        require_bounded(58, year)
