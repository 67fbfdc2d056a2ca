"""Intervals that the period cuts, and hours of which there is less or more than one: rates are over what there was."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reports.calendar.hours import openings
from reports.catalogue.registry import run
from reports.formats import encoded
from reports.request.effective_policy import QueuePolicy
from reports.tables.report import Report
from tests.support.report_facts import COUNTED, everything
from tests.support.requests import a_request

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
LATER = MONDAY + timedelta(days=400)
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return MONDAY + timedelta(hours=int(text[:2]), minutes=int(text[3:]))


def made(name: str, source: Any, **options: Any) -> Report:
    return run(name, source, a_request(LATER, **options))


# From and to in the zone, and where the clocks are moved meanwhile, how many hours those are.
CUTS = [
    ("UTC", "2026-03-02T10:20", "2026-03-02T13:05", 2.75),
    ("UTC", "2026-03-02T10:20", "2026-03-02T10:35", 0.25),
    ("Europe/London", "2026-03-29T00:40", "2026-03-29T02:20", 2 / 3),
    ("Europe/London", "2026-10-25T00:40", "2026-10-25T02:20", 2 + 2 / 3),
    ("Australia/Lord_Howe", "2026-04-05T01:10", "2026-04-05T02:20", 5 / 3),
    ("Asia/Kolkata", "2026-03-02T10:20", "2026-03-04T09:10", 46 + 5 / 6),
]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("interval", ["15m", "30m", "1h", "1d", "1w", "1mo"])
def test_who_is_there_all_the_time_is_one_in_every_interval(
    fill: Any, visit: Any, cut: tuple[str, str, str, float], interval: str
) -> None:
    tz, from_, to, hours = cut
    begin = datetime.fromisoformat(from_).replace(tzinfo=ZoneInfo(tz)).astimezone(UTC)
    source = fill(visit(at=begin - timedelta(days=1), wait_secs=6 * 86_400))
    asked = {"tz": tz, "from_": from_, "to": to, "interval": interval}
    happened = list(made("intervals", source, **asked).section("happened").rows())
    depth = list(made("depth", source, **asked).section("intervals").rows())
    assert [row["mean_waiting"] for row in happened] == [row["mean_depth"] for row in depth] == [1.0] * len(depth)
    assert sum(row["waited_ms"] for row in happened) == pytest.approx(hours * 3_600_000)
    for rows in (happened, depth):
        assert (rows[0]["interval_start"], rows[-1]["interval_end"]) == (begin, begin + timedelta(hours=hours))
        assert all(one["interval_end"] == after["interval_start"] for one, after in pairwise(rows))


def test_every_report_labels_a_cut_interval_by_what_there_is_of_it(fill: Any, visit: Any) -> None:
    visits, facts = everything(visit, [at("10:25"), at("11:30"), at("12:05")])
    source = fill(*visits, **facts)
    asked = a_request(LATER, from_="2026-03-02T10:20", to="2026-03-02T12:10", interval="1h")
    for name, (section, _) in COUNTED.items():
        report = run(name, source, asked)
        starts = [row["interval_start"] for row in report.section(section).rows()]
        assert starts == [at("10:20"), at("11:00"), at("12:00")], name
        if name != "end-reasons":  # its rows are of several intervals each
            assert [row["interval_end"] for row in report.section(section).rows()][-1] == at("12:10"), name
            text = encoded(report.led_by(section), "table").decode()
            assert "2026-03-02 10:20   2026-03-02 11:00" in text, name
        assert any("cuts its first or last interval" in note for note in report.notes), name


@pytest.mark.parametrize(
    ("from_", "to", "shown"),
    [
        ("2026-03-04", "2026-03-06", "2026-03-04   2026-03-06"),
        ("2026-03-04T10:20", "2026-03-06", "2026-03-04 10:20   2026-03-06"),
        ("2026-03-04", "2026-03-05T11:40", "2026-03-04   2026-03-05 11:40"),
    ],
)
def test_a_week_that_is_cut_says_from_when_to_when_it_is(fill: Any, from_: str, to: str, shown: str) -> None:
    report = made("sla", fill(), from_=from_, to=to, interval="1w", queues=("support",))
    assert shown in encoded(report.led_by("intervals"), "table").decode()


def test_a_whole_interval_shows_no_end(fill: Any) -> None:
    report = made("sla", fill(), from_="2026-03-02T10:00", to="2026-03-02T12:00", interval="1h", queues=("support",))
    assert "Until" not in encoded(report.led_by("intervals"), "table").decode()


def _regular(fill: Any, visit: Any, *, first: datetime, calls: int, apart: timedelta, talk: timedelta) -> Any:
    """Visits at regular times, each answered at once."""
    moments = [first + n * apart for n in range(calls)]
    return fill(
        *({**visit(wait_secs=0, at=when), "entity": f"leg {n}"} for n, when in enumerate(moments)),
        stored_events=tuple(
            {"event_type": "call.bridged", "occurred_at": when, "entity": f"leg {n}"} for n, when in enumerate(moments)
        ),
        calls=tuple(
            {"entity": f"leg {n}", "ended_at": when + talk, "status": "ended"} for n, when in enumerate(moments)
        ),
    )


@pytest.mark.parametrize(
    ("from_", "to", "loads"),
    [
        ("2026-03-02T10:00", "2026-03-02T12:00", [3, 3]),
        ("2026-03-02T10:40", "2026-03-02T11:30", [3, 3]),
        ("2026-03-02T10:10", "2026-03-02T10:25", [3]),
    ],
)
def test_a_load_and_arrivals_are_over_the_time_that_there_was(
    fill: Any, visit: Any, from_: str, to: str, loads: list[float]
) -> None:
    # A call a minute for two hours, three minutes each.
    source = _regular(fill, visit, first=at("10:00"), calls=120, apart=MINUTE, talk=3 * MINUTE)
    report = made("staffing", source, from_=from_, to=to, interval="1h", agents=5)
    assert [row["load"] for row in report.section("staffing").rows()] == pytest.approx(loads)
    (queue,) = report.section("queues").rows()
    assert (queue["arrivals_per_hour"], queue["handle_ms"], queue["dispersion"]) == (60, 180_000, 0)


def test_a_new_definition_cuts_an_interval_in_two_loads(fill: Any, visit: Any) -> None:
    source = _regular(fill, visit, first=at("10:00"), calls=120, apart=MINUTE, talk=3 * MINUTE)
    agreed = tuple(
        QueuePolicy(queue="support", since=since, threshold_secs=secs)
        for since, secs in ((None, 20), (at("10:40"), 10))
    )
    report = made(
        "staffing", source, from_="2026-03-02T10:20", to="2026-03-02T12:00", interval="1h", agents=5, policies=agreed
    )
    told = [(row["interval_start"], row["interval_end"], row["load"]) for row in report.section("staffing").rows()]
    expected = [("10:20", "10:40"), ("10:40", "11:00"), ("11:00", "12:00")]
    assert [(start, end) for start, end, _ in told] == [(at(start), at(end)) for start, end in expected]
    assert [load for *_, load in told] == pytest.approx([3, 3, 3])
    assert "2026-03-02 10:40   2026-03-02 11:00" in encoded(report, "table").decode()
    (queue,) = report.section("queues").rows()
    assert queue["arrivals_per_hour"] == 60


def test_five_minutes_that_the_period_cuts_tell_nothing_of_bunches(fill: Any, visit: Any) -> None:
    source = _regular(fill, visit, first=at("10:00"), calls=60, apart=MINUTE, talk=MINUTE)
    for from_, to in (("10:02", "10:58"), ("10:03", "10:41"), ("10:00", "10:33")):
        report = made("staffing", source, from_=f"2026-03-02T{from_}", to=f"2026-03-02T{to}")
        (queue,) = report.section("queues").rows()
        assert queue["dispersion"] == 0


def _cells(report: Report) -> dict[tuple[str, str], Any]:
    return {(row["weekday"], row["hour"]): row for row in report.section("cells").rows()}


def test_the_heatmap_divides_by_the_time_of_an_hour_that_the_period_has(fill: Any, visit: Any) -> None:
    # Every quarter of an hour, from 10:15 on Monday to 10:45 on the Tuesday eight days later.
    quarter, begin, end = timedelta(minutes=15), at("10:15"), at("10:45") + timedelta(days=8)
    source = fill(*(visit(at=begin + n * quarter) for n in range((end - begin) // quarter)))
    cells = _cells(made("heatmap", source, from_="2026-03-02T10:15", to="2026-03-10T10:45"))
    assert {row["offered_per_hour"] for row in cells.values()} == {4.0}
    assert (cells["Monday", "10:00"]["times"], cells["Monday", "10:00"]["hours"]) == (2, 1.75)
    assert (cells["Tuesday", "10:00"]["hours"], cells["Wednesday", "10:00"]["hours"]) == (1.75, 1)
    assert sum(row["hours"] for row in cells.values()) == 8 * 24 + 0.5


@pytest.mark.parametrize(
    "change",
    [
        ("Europe/London", "2026-10-25", "01:00", 2),
        ("Europe/London", "2026-03-29", "01:00", 0),
        ("Australia/Lord_Howe", "2026-04-05", "01:00", 1.5),
        ("Australia/Lord_Howe", "2026-10-04", "02:00", 0.5),
    ],
)
def test_the_heatmap_divides_by_what_the_clocks_made_of_an_hour(
    fill: Any, visit: Any, change: tuple[str, str, str, float]
) -> None:
    tz, day, hour, hours = change
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(tz)).astimezone(UTC)
    source = fill(*(visit(at=begin + n * timedelta(minutes=10)) for n in range(26 * 6)))
    after = (datetime.fromisoformat(day) + timedelta(days=1)).date()
    report = made("heatmap", source, tz=tz, from_=day, to=f"{after}")
    cell = _cells(report)["Sunday", hour]
    assert cell["hours"] == hours
    assert cell["offered_per_hour"] == (6 if hours else None)
    if not hours:
        (row,) = (row for row in report.section("offered").rows() if row["hour"] == hour)
        assert row["offered_sunday"] is None


def _open(queue: str, hours: str, since: datetime | None = None, tz: str = "UTC") -> QueuePolicy:
    return QueuePolicy(queue=queue, since=since, hours=openings(hours), tz=tz)


def test_the_heatmap_of_business_hours_divides_by_the_time_that_was_open(fill: Any, visit: Any) -> None:
    quarter = timedelta(minutes=15)
    source = fill(*(visit(at=MONDAY + n * quarter, queue=queue) for n in range(14 * 96) for queue in ("desk", "shop")))
    asked: dict[str, Any] = {"from_": "2026-03-02", "to": "2026-03-16", "hours": "open"}
    # From the second Wednesday on the desk opens an hour later.
    desk = (_open("desk", "mon-fri 09:30-17:00"), _open("desk", "mon-fri 10:30-17:00", MONDAY + timedelta(days=9)))
    cells = _cells(made("heatmap", source, queues=("desk",), policies=desk, **asked))
    for (day, hour), expected in {
        ("Monday", "09:00"): 1,
        ("Wednesday", "09:00"): 0.5,
        ("Wednesday", "10:00"): 1.5,
        ("Friday", "16:00"): 2,
        ("Friday", "17:00"): 0,
        ("Sunday", "12:00"): 0,
    }.items():
        assert cells[day, hour]["hours"] == expected, (day, hour)
        assert cells[day, hour]["offered_per_hour"] == (4 if expected else None), (day, hour)
    closed = _cells(made("heatmap", source, queues=("desk",), policies=desk, **{**asked, "hours": "closed"}))
    assert closed["Wednesday", "09:00"]["hours"] == 1.5
    assert closed["Wednesday", "09:00"]["offered_per_hour"] == 4
    assert all(cells[key]["hours"] + closed[key]["hours"] == 2 for key in cells)
    # Where the shop is open, too, there is more time; where one queue never closes, all of it.
    both = _cells(made("heatmap", source, policies=(*desk, _open("shop", "sun 12:00-13:00")), **asked))
    assert (both["Sunday", "12:00"]["hours"], both["Monday", "09:00"]["hours"]) == (2, 1)
    some = _cells(made("heatmap", source, policies=desk, **asked))
    assert {row["hours"] for row in some.values()} == {2}
