"""Policies of queues: by which of them visits count, how tables split, and what reports say about them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reports.calendar.hours import (
    Opening,
    opened,
    openings,
)
from reports.catalogue.registry import evidence_of, run
from reports.errors import RequestError
from reports.formats import render
from reports.request.effective_policy import QueuePolicy
from reports.tables.report import Report
from tests.support.requests import a_request

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOW = NOON + timedelta(days=1)
AT_NOON = (
    QueuePolicy(queue="support", threshold_secs=20, target=0.8),
    QueuePolicy(queue="support", since=NOON, threshold_secs=40, target=0.9, variant="answered_only"),
)


def _sla(source: Any, **options: Any) -> Report:
    return run("sla", source, a_request(NOW, **{"from_": "2026-03-02", "to": "2026-03-03", **options}))


@pytest.fixture
def around_noon(fill: Any, visit: Any) -> Any:
    return fill(
        visit(wait_secs=30, at=NOON - timedelta(microseconds=1)),
        visit(wait_secs=30, at=NOON),
        visit("abandoned", 30, at=NOON + timedelta(hours=1)),
        visit(wait_secs=30, queue="sales"),
    )


def test_a_definition_that_changes_at_noon_judges_what_comes_from_noon_on(around_noon: Any) -> None:
    report = _sla(around_noon, policies=AT_NOON)
    rows = [
        (row["queue"], row["since"], row["threshold_secs"], row["target"], row["offered"], row["service_level"])
        for row in report.section("queues").rows()
    ]
    assert rows == [
        ("sales", None, 20, 0.8, 1, 0),
        ("support", None, 20, 0.8, 1, 0),
        ("support", NOON, 40, 0.9, 2, 1),  # answered_only, else it would be a half
    ]
    total = report.section("queues").total_row()
    assert total is not None
    assert (total["offered"], total["answered_within"]) == (4, 1)


def test_an_interval_that_a_change_cuts_has_a_row_for_each_definition(around_noon: Any) -> None:
    report = _sla(around_noon, policies=AT_NOON, interval="1d", queues=("support",))
    rows = [(row["since"], row["offered"]) for row in report.section("queue_intervals").rows()]
    assert rows == [(None, 1), (NOON, 2)]
    half_hours = _sla(around_noon, policies=AT_NOON, interval="30m", queues=("support",)).section("queue_intervals")
    assert half_hours.frame.height == 48
    assert [row["since"] for row in half_hours.rows()] == [None] * 24 + [NOON] * 24


def test_a_report_says_which_definition_held_when(around_noon: Any) -> None:
    report = _sla(around_noon, policies=AT_NOON)
    said = " ".join(report.notes)
    assert "Queue support until 2026-03-02 12:00: within 20 s (short abandons: wait < 5 s), target 80 %" in said
    assert "Queue support from 2026-03-02 12:00: within 40 s" in said
    held = [(row["queue"], row["since"], row["until"]) for row in report.section("definitions").rows()]
    assert held == [(None, None, None), ("support", None, NOON), ("support", NOON, None)]
    assert "held when it was enqueued" in " ".join(render(report, "html").split())


@pytest.mark.parametrize(
    ("name", "measure", "values"),
    [
        ("sla", "service_level", [0, 1]),
        ("queues", "offered", [2, 2]),
        ("waits", "offered", [2, 2]),
        ("abandonment", "abandonment_rate_adjusted", [0.5, 0]),
        ("intervals", "service_level", [0, 1]),
        ("staffing", "level_measured", [0, 0.5]),
        ("heatmap", "service_level", [0, 1]),
        # All queues, and the queue with its definitions together: each visit by its own.
        ("compare", "now_value", [1 / 3, 1 / 3]),
    ],
)
def test_every_report_on_visits_judges_each_by_the_definition_of_its_moment(
    fill: Any, visit: Any, name: str, measure: str, values: list[float]
) -> None:
    at_noon = (
        QueuePolicy(queue="support", threshold_secs=20, short_abandon_secs=5),
        QueuePolicy(queue="support", since=NOON, threshold_secs=40, short_abandon_secs=20),
    )
    # Before noon nobody is answered in time and nobody gives up early; from noon on both do.
    moments = (NOON - timedelta(microseconds=1), NOON)
    source = fill(*(v for at in moments for v in (visit(wait_secs=30, at=at), visit("abandoned", 10, at=at))))
    by = ("queue",) if name == "intervals" else ()
    report = run(name, source, a_request(NOW, from_="2026-03-02", to="2026-03-03", policies=at_noon, by=by))
    rows = [
        row for row in report.section(report.main).rows() if row.get("offered") or row.get("name") == "service_level"
    ]
    assert [row[measure] for row in rows] == values
    assert [row["since"] for row in rows if "since" in row] in ([], [None, NOON])
    assert "Queue support from 2026-03-02 12:00: within 40 s (short abandons: wait < 20 s)" in " ".join(report.notes)


def test_only_definitions_of_the_period_are_told(around_noon: Any) -> None:
    report = _sla(around_noon, policies=AT_NOON, from_="2026-03-02T12:00", queues=("support",))
    assert [(row["queue"], row["offered"]) for row in report.section("queues").rows()] == [("support", 2)]
    assert report.definition["threshold_secs"] == 40
    assert report.request.target == 0.9


def test_what_a_policy_leaves_open_stays_as_it_was(fill: Any, visit: Any) -> None:
    policies = (
        QueuePolicy(queue="support", since=NOON - timedelta(days=9), threshold_secs=60, short_abandon_secs=1),
        QueuePolicy(queue="support", since=NOON, target=0.5),
    )
    (row,) = _sla(fill(visit("abandoned", 2)), policies=policies, from_="2026-03-02T12:00").section("queues").rows()
    assert (row["threshold_secs"], row["target"], row["short_abandoned"]) == (60, 0.5, 0)


def test_a_queue_asked_for_has_its_definition_even_if_nobody_came(fill: Any) -> None:
    report = _sla(fill(), policies=AT_NOON, queues=("support", "night"))
    rows = [
        (row["queue"], row["since"], row["offered"], row["service_level"]) for row in report.section("queues").rows()
    ]
    assert rows == [("night", None, 0, None), ("support", None, 0, None), ("support", NOON, 0, None)]


def test_the_formula_is_shown_with_the_numbers_put_in(around_noon: Any) -> None:
    report = _sla(around_noon, policies=AT_NOON, explain=True)
    rows = list(report.section("explained").rows())
    (after,) = [row for row in rows if row["since"] == NOON and row["shown"]]
    assert (after["formula"], after["worked"], after["value"]) == ("answered_within / answered", "1 / 1", "100.0 %")
    (total,) = [row for row in rows if row["queue"] == "All queues" and row["measure"] == "abandonment_rate"]
    assert (total["worked"], total["value"]) == ("1 / (4 - 0)", "25.0 %")


def test_business_hours_leave_out_what_came_outside_in_the_queues_own_zone(fill: Any, visit: Any) -> None:
    policies = (
        QueuePolicy(queue="support", tz="Europe/Athens", hours=openings("mon-fri 09:00-17:00"), holidays=()),
        QueuePolicy(queue="support", since=NOON + timedelta(days=2), holidays=(date(2026, 3, 5),)),
    )
    # 09:00 and 17:00 in Athens are 07:00 and 15:00 UTC.
    inside = [datetime(2026, 3, 2, 7, tzinfo=UTC), datetime(2026, 3, 2, 14, 59, 59, tzinfo=UTC)]
    outside = [datetime(2026, 3, 2, 6, 59, 59, tzinfo=UTC), datetime(2026, 3, 2, 15, tzinfo=UTC)]
    holiday = datetime(2026, 3, 5, 10, tzinfo=UTC)
    source = fill(*(visit(at=at) for at in (*inside, *outside, holiday)), visit(queue="sales", at=outside[0]))
    counts = {}
    for hours in ("open", "closed", None):
        report = _sla(source, policies=policies, hours=hours, to="2026-03-08")
        counts[hours] = sum(row["offered"] for row in report.section("queues").rows() if row["queue"] == "support")
    assert counts == {"open": 2, "closed": 3, None: 5}
    assert any("3 visits began outside of business hours" in note for note in report.notes)
    closed = _sla(source, policies=policies, hours="closed", to="2026-03-08")
    assert any(note.startswith("Only visits that began outside of the business hours") for note in closed.notes)


@pytest.mark.parametrize(("name", "option"), [("calls", "hours"), ("depth", "explain"), ("sla", "agents")])
def test_an_option_that_a_report_cannot_heed_is_refused(fill: Any, name: str, option: str) -> None:
    values: dict[str, Any] = {"hours": "open", "explain": True, "agents": 3}
    with pytest.raises(RequestError, match=f"the report {name} takes no --{option}: expected one of"):
        run(name, fill(), a_request(NOW, **{option: values[option]}))


def test_hours_may_reach_into_the_next_day_and_follow_the_clocks() -> None:
    athens = ZoneInfo("Europe/Athens")
    night = opened(openings("sat 22:00-06:00"), (), athens, *_days(datetime(2026, 3, 28, 12, tzinfo=UTC)))
    assert night == [(datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC))]
    around = opened(openings("mon-sun 00:00-24:00"), (), athens, *_days(datetime(2026, 3, 28, 12, tzinfo=UTC)))
    assert len(around) == 1


def _days(at: datetime) -> tuple[datetime, datetime]:
    return at, at + timedelta(days=1)


@pytest.mark.parametrize("text", ["", "mon", "mon 9-17", "mon 09:00-25:00", "mon-xyz 09:00-10:00", "mon 09:60-10:00"])
def test_hours_that_mean_nothing_are_answered_with_what_they_look_like(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        openings(text)


def test_a_range_of_days_may_go_over_the_weeks_end() -> None:
    assert [each.weekday for each in openings("sat-mon 10:00-12:00")] == [5, 6, 0]
    assert openings("mon 22:00-06:00") == (Opening(0, 22 * 60, 30 * 60),)


def test_any_table_may_be_grouped_by_the_local_calendar(fill: Any, visit: Any) -> None:
    # One instant either side of midnight in Kolkata, where a day begins at 18:30 UTC.
    source = fill(*(visit(at=datetime(2026, 3, 1, 18, minute, tzinfo=UTC)) for minute in (29, 30)))
    report = _sla(source, tz="Asia/Kolkata", by=("weekday", "hour,queue"), from_="2026-03-01")
    rows = [(row["weekday"], row["hour"], row["queue"], row["offered"]) for row in report.section("by").rows()]
    assert rows == [("Monday", "00:00", "support", 1), ("Sunday", "23:00", "support", 1)]
    assert report.main == "by"
    months = _sla(source, tz="Asia/Kolkata", by=("month",), from_="2026-02-01").section("by")
    assert [row["offered"] for row in months.rows()] == [2]


@pytest.mark.parametrize(
    ("name", "by", "says"),
    [
        ("sla", "mood", "sla cannot be grouped by 'mood': expected some of queue, interval, hour"),
        ("calls", "queue", "calls cannot be grouped by 'queue': expected some of direction"),
        ("sla", "interval", "expected --interval"),
        ("compare", "day", "expected --by some of queue, weekday, hour, for a day"),
        ("staffing", "hour", "a model holds for one load at a time: expected no other --by"),
        ("heatmap", "queue", "expected neither --by nor --interval; one queue's is --queue NAME"),
        ("completeness", "weekday", "by day in UTC, queue and type of event: expected neither --by"),
    ],
)
def test_what_a_report_cannot_be_grouped_by_is_answered_with_what_it_can(
    fill: Any, name: str, by: str, says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        run(name, fill(), a_request(NOW, by=(by,)))


def test_a_report_says_which_queues_it_cuts_at_the_times_of_another_zone(fill: Any, visit: Any) -> None:
    policies = (QueuePolicy(queue="support", tz="Europe/Athens"), QueuePolicy(queue="sales", tz="UTC"))

    def said(**options: Any) -> str:
        report = _sla(fill(visit()), policies=policies, **options)
        return " ".join(note for note in report.notes if "time zones of their own" in note)

    assert "cut at the times of UTC here: support (Europe/Athens)." in said()
    assert said(queues=("sales",)) == ""
    assert said(tz="America/New_York") == ""  # somebody asked for it


def test_what_changed_can_be_told_of_reports_on_queues_and_of_no_others() -> None:
    evidence_of("abandonment")
    with pytest.raises(RequestError, match="the report calls cannot be told by events: expected one of sla"):
        evidence_of("calls")
