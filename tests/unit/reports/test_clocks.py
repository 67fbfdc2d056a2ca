"""Reports where clocks change, in three zones, one of which moves by half an hour, and where months and years end."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reports.compare import preceding
from reports.registry import run
from reports.report import Report
from reports.request import parse
from reports.visits import Period

CHANGES = [
    ("Europe/Athens", "2026-03-29", 23),
    ("Europe/Athens", "2026-10-25", 25),
    ("America/New_York", "2026-03-08", 23),
    ("America/New_York", "2026-11-01", 25),
    ("Australia/Lord_Howe", "2026-10-04", 23.5),
    ("Australia/Lord_Howe", "2026-04-05", 24.5),
]
TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def all_day(fill: Any, visit: Any) -> Any:
    """A function that fills a local day with a visit every ten minutes, 25 minutes long, and returns a report on it."""

    def reported(name: str, tz: str, day: str, **options: Any) -> Report:
        begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(tz)).astimezone(UTC)
        end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=ZoneInfo(tz)).astimezone(UTC)
        visits = [
            visit(at=begin + n * TEN_MINUTES, wait_secs=25 * 60) for n in range(-6, (end - begin) // TEN_MINUTES + 6)
        ]
        now = end + timedelta(hours=9)
        return run(name, fill(*visits), parse(now=now, tz=tz, from_="yesterday", **options))

    return reported


@pytest.mark.parametrize(("tz", "day", "hours"), CHANGES)
def test_a_day_has_the_half_hours_its_clocks_have_and_every_visit_once(
    all_day: Any, tz: str, day: str, hours: float
) -> None:
    report = all_day("intervals", tz, day)
    assert any("interval 30m (default)" in note for note in report.notes)
    rows = list(report.section("intervals").rows())
    assert len(rows) == hours * 2
    assert [row["offered"] for row in rows] == [3] * len(rows)
    assert len({row["interval_start"] for row in rows}) == len(rows)


@pytest.mark.parametrize(("tz", "day", "hours"), CHANGES)
def test_hours_that_come_twice_or_not_at_all_are_counted_so(all_day: Any, tz: str, day: str, hours: float) -> None:
    frame = all_day("heatmap", tz, day).section("cells").frame
    assert frame["offered"].sum() == hours * 6
    times = sorted(frame.filter(frame["times"] > 0)["times"])
    # On Lord Howe Island a change cuts an hour in two, or leaves a shorter one.
    expected = {23: [1] * 23, 25: [1] * 23 + [2], 23.5: [1] * 24, 24.5: [1] * 23 + [2]}[hours]
    assert times == expected


@pytest.mark.parametrize(("tz", "day", "hours"), CHANGES)
def test_the_time_in_queues_fills_every_interval_alike(all_day: Any, tz: str, day: str, hours: float) -> None:
    report = all_day("depth", tz, day, interval="30m")
    # A visit every ten minutes for 25 minutes each: 2.5 of them at any time, 3 at most.
    rows = list(report.section("intervals").rows())
    assert {(row["mean_depth"], row["peak"]) for row in rows} == {(2.5, 3)}
    assert sum(row["depth_ms"] for row in rows) == hours * 2.5 * 3_600_000


@pytest.mark.parametrize(("tz", "day", "hours"), CHANGES)
def test_the_day_before_one_on_which_clocks_change_is_a_whole_day(
    all_day: Any, tz: str, day: str, hours: float
) -> None:
    report = all_day("compare", tz, day)
    rows = {row["name"]: row for row in report.section("compare").rows() if row["queue"] == "All queues"}
    assert (rows["offered"]["now_value"], rows["offered"]["before_value"]) == (hours * 6, 6)
    yesterday = (datetime.fromisoformat(day) - timedelta(days=1)).date()
    week = (datetime.fromisoformat(day) - timedelta(weeks=1)).date()
    said = " ".join(report.notes)
    assert f"Before: from {yesterday} 00:00 up to, not including, {day} 00:00" in said
    assert f"A week earlier: from {week} 00:00" in said


@pytest.mark.parametrize(
    ("from_", "to", "before"),
    [
        ("2026-03-01", "2026-04-01", "2026-02-01"),
        ("2026-01-01", "2026-02-01", "2025-12-01"),
        ("2026-01-01", "2026-04-01", "2025-10-01"),
        ("2026-03-02", "2026-03-09", "2026-02-23"),
        ("2026-03-01", "2026-03-02", "2026-02-28"),
    ],
)
def test_before_a_month_comes_a_month_and_before_a_week_a_week(from_: str, to: str, before: str) -> None:
    zone = ZoneInfo("Europe/Athens")
    start, end, expected = (datetime.fromisoformat(at).replace(tzinfo=zone) for at in (from_, to, before))
    assert preceding(Period(start, end), zone) == Period(expected, start)


def test_before_some_hours_come_as_many() -> None:
    start, end = (datetime(2026, 3, 2, hour, 30, tzinfo=UTC) for hour in (9, 12))
    assert preceding(Period(start, end), ZoneInfo("UTC")) == Period(start - timedelta(hours=3), start)
