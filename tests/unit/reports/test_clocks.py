"""Reports where clocks change, in three zones, one of which moves by half an hour, and where months and years end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reports import humanize
from reports.catalogue.compare import earlier, preceding
from reports.catalogue.registry import REPORTS, run
from reports.formats import encoded
from reports.tables.report import Report
from reports.tables.visits import Period
from tests.support.report_facts import COUNTED, everything
from tests.support.requests import a_request

CHANGES = [
    ("Europe/Athens", "2026-03-29", 23),
    ("Europe/Athens", "2026-10-25", 25),
    ("America/New_York", "2026-03-08", 23),
    ("America/New_York", "2026-11-01", 25),
    ("Australia/Lord_Howe", "2026-10-04", 23.5),
    ("Australia/Lord_Howe", "2026-04-05", 24.5),
]
TEN_MINUTES = timedelta(minutes=10)
NOT_BY_INTERVAL = {"heatmap", "compare", "completeness"}


def test_every_report_is_among_those_tried_here() -> None:
    assert set(REPORTS) == {*COUNTED, *NOT_BY_INTERVAL}


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
        return run(name, fill(*visits), a_request(now, tz=tz, from_="yesterday", **options))

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
def test_every_report_has_the_half_hours_of_the_day_and_everything_once(
    fill: Any, visit: Any, tz: str, day: str, hours: float
) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(tz)).astimezone(UTC)
    # Nine minutes apart from one before the day to one after it, so that no half hour has none.
    moments = [begin + n * timedelta(minutes=9) for n in range(-1, int(hours * 60 / 9) + 2)]
    visits, facts = everything(visit, moments)
    source = fill(*visits, **facts)
    within = [at for at in moments if begin <= at < begin + timedelta(hours=hours)]
    starts = [begin + n * timedelta(minutes=30) for n in range(int(hours * 2))]
    counts = [sum(start <= at < start + timedelta(minutes=30) for at in within) for start in starts]
    asked = a_request(begin + timedelta(days=1, hours=9), tz=tz, from_=day, to=_day_after(day), interval="30m")
    for name, (section, count) in COUNTED.items():
        rows = list(run(name, source, asked).section(section).rows())
        assert [row["interval_start"] for row in rows] == starts, name
        # One at a time is in the queue; all else counts what began.
        assert [row[count] for row in rows] == ([1] * len(starts) if name == "depth" else counts), name


def _day_after(day: str) -> str:
    return f"{(datetime.fromisoformat(day) + timedelta(days=1)).date()}"


@pytest.mark.parametrize("tz", ["Europe/Athens", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("interval", ["1d", "1mo"])
def test_every_report_ends_a_year_at_the_local_midnight(fill: Any, visit: Any, tz: str, interval: str) -> None:
    year = datetime(2026, 1, 1, tzinfo=ZoneInfo(tz)).astimezone(UTC)
    visits, facts = everything(visit, [year - timedelta(milliseconds=1500), year])
    source = fill(*visits, **facts)
    asked = a_request(year + timedelta(days=3), tz=tz, from_="2025-12-31", to="2026-01-02", interval=interval)
    for name, (section, count) in COUNTED.items():
        rows = list(run(name, source, asked).section(section).rows())
        assert [row["interval_start"].astimezone(ZoneInfo(tz)).year for row in rows] == [2025, 2026], name
        assert [row[count] for row in rows] == [1, 1], name
    plain = replace(asked, interval=None)
    cells = [row for row in run("heatmap", source, plain).section("cells").rows() if row["offered"]]
    assert [(row["weekday"], row["hour"]) for row in cells] == [("Wednesday", "23:00"), ("Thursday", "00:00")]


def test_one_of_everything_is_one_in_every_report(fill: Any, visit: Any) -> None:
    at = datetime(2026, 3, 2, 12, 10, tzinfo=UTC)
    visits, facts = everything(visit, [at])
    source = fill(*visits, **facts)
    for name in REPORTS:
        asked = a_request(at + timedelta(hours=1), interval="30m" if name in COUNTED else None)
        report = run(name, source, asked)
        assert encoded(report, "table"), name
        if name in COUNTED:
            section, count = COUNTED[name]
            assert sum(row[count] for row in report.section(section).rows()) == 1, name
        elif name == "heatmap":
            assert sum(row["offered"] for row in report.section("cells").rows()) == 1
        elif name == "compare":
            offered = next(row for row in report.section("compare").rows() if row["name"] == "offered")
            assert (offered["now_value"], offered["before_value"]) == (1, 0)
            assert offered["change"] == humanize.DASH


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


@pytest.mark.parametrize(
    ("tz", "from_", "to", "before", "week"),
    [
        # Part of a day is compared with that part of the day before, be it 23, 24 or 25 hours away.
        ("Europe/Athens", "2026-03-29T00:00", "2026-03-29T12:00", "2026-03-28T00:00", "2026-03-22T00:00"),
        ("Europe/Athens", "2026-03-29T09:30", "2026-03-29T12:00", "2026-03-28T09:30", "2026-03-22T09:30"),
        ("Europe/Athens", "2026-03-30T09:30", "2026-03-30T12:00", "2026-03-29T09:30", "2026-03-23T09:30"),
        ("America/New_York", "2026-11-02T09:30", "2026-11-02T12:00", "2026-11-01T09:30", "2026-10-26T09:30"),
        ("Australia/Lord_Howe", "2026-10-04T12:00", "2026-10-04T13:00", "2026-10-03T12:00", "2026-09-27T12:00"),
        # From noon to noon is a day, whatever the clocks did in the night.
        ("Europe/Athens", "2026-03-28T12:00", "2026-03-29T12:00", "2026-03-27T12:00", "2026-03-21T12:00"),
        ("Europe/Athens", "2026-10-25T12:00", "2026-10-26T12:00", "2026-10-24T12:00", "2026-10-18T12:00"),
        # Days and a half with as many days before, so that they do not overlap.
        ("Europe/Athens", "2026-03-30T00:00", "2026-04-01T12:00", "2026-03-27T00:00", "2026-03-23T00:00"),
    ],
)
def test_what_comes_before_has_the_same_local_times(tz: str, from_: str, to: str, before: str, week: str) -> None:
    zone = ZoneInfo(tz)
    start, end = (datetime.fromisoformat(at).replace(tzinfo=zone).astimezone(UTC) for at in (from_, to))
    lasting = datetime.fromisoformat(to) - datetime.fromisoformat(from_)
    for found, expected in (
        (preceding(Period(start, end), zone), before),
        (earlier(Period(start, end), zone, 7), week),
    ):
        assert found is not None
        local = [at.astimezone(zone).replace(tzinfo=None) for at in (found.from_, found.to)]
        assert local == [datetime.fromisoformat(expected), datetime.fromisoformat(expected) + lasting]
        assert found.to <= start


def test_times_that_the_clocks_skipped_are_compared_with_what_there_was_of_them(fill: Any, visit: Any) -> None:
    zone = ZoneInfo("Europe/Athens")
    jump = datetime(2026, 3, 29, 1, tzinfo=UTC)  # from 03:00 to 04:00

    def asked(from_: str, to: str) -> Report:
        source = fill(*(visit(at=jump + n * TEN_MINUTES) for n in range(-30, 30)))
        moments = (f"2026-03-30T{from_}", f"2026-03-30T{to}")
        report = run(
            "compare", source, a_request(jump + timedelta(days=3), tz=zone.key, from_=moments[0], to=moments[1])
        )
        source.db.execute("delete from queue_visits")
        return report

    partly, wholly = asked("02:30", "03:30"), asked("03:10", "03:50")
    assert any("Before: from 2026-03-29 02:30 up to, not including, 2026-03-29 04:00" in note for note in partly.notes)
    assert any("Before: nothing, for the clocks of Europe/Athens skipped these times" in note for note in wholly.notes)
    rows = [
        next(row for row in report.section("compare").rows() if row["name"] == "offered") for report in (partly, wholly)
    ]
    assert [(row["before_value"], row["change"]) for row in rows] == [(3, "-100.0 %"), (None, humanize.DASH)]
