"""The report `sla` from a warehouse: what is in it, where it begins and ends, and what it says about itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reports.catalogue.registry import run
from reports.errors import RequestError, SourceError
from reports.source import Source
from reports.tables.report import Report
from tests.support.requests import a_request

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def _sla(source: Source, **options: Any) -> Report:
    return run("sla", source, a_request(NOW, **options))


def _total(report: Report) -> Any:
    return report.section("queues").total_row()


def test_queues_intervals_and_totals_agree(fill: Any, visit: Any) -> None:
    source = fill(
        visit(wait_secs=5),
        visit(wait_secs=50, at=NOON + timedelta(minutes=40)),
        visit("abandoned", 3, queue="sales"),
        visit("left", 8, queue="sales", at=NOON + timedelta(minutes=61)),
    )
    report = _sla(source, from_="2026-03-02T12:00", to="2026-03-02T14:00", interval="30m")
    assert [(row["queue"], row["offered"]) for row in report.section("queues").rows()] == [("sales", 2), ("support", 2)]
    assert _total(report)["offered"] == 4
    assert _total(report)["service_level"] == 1 / 3
    intervals = list(report.section("intervals").rows())
    assert [row["offered"] for row in intervals] == [2, 1, 1, 0]
    assert [row["interval_start"] for row in intervals] == [NOON + timedelta(minutes=30 * n) for n in range(4)]
    both = list(report.section("queue_intervals").rows())
    assert [(row["queue"], row["offered"]) for row in both] == [
        *(("sales", offered) for offered in (1, 0, 1, 0)),
        *(("support", offered) for offered in (1, 1, 0, 0)),
    ]


def test_an_empty_interval_has_counts_of_zero_and_no_rates(fill: Any, visit: Any) -> None:
    report = _sla(fill(visit()), from_="2026-03-02", to="2026-03-03", interval="1h")
    hours = list(report.section("intervals").rows())
    assert [hour["offered"] for hour in hours] == [int(n == 12) for n in range(24)]
    empty = hours[0]
    assert {empty[name] for name in ("service_level", "abandonment_rate", "longest_wait_ms", "wait_p50_ms")} == {None}


def test_one_visit_is_its_own_every_percentile(fill: Any, visit: Any) -> None:
    row = _total(_sla(fill(visit(wait_secs=7))))
    assert {row[f"wait_p{p}_ms"] for p in (50, 90, 95, 99)} == {row["longest_wait_ms"]} == {7000}
    assert row["service_level"] == 1


@pytest.mark.parametrize(
    "options", [{}, {"from_": "2026-03-02", "to": "2026-03-03", "interval": "1h"}, {"queues": ("x",)}]
)
def test_no_visits_make_a_report_that_says_so(fill: Any, options: dict[str, Any]) -> None:
    report = _sla(fill(), **options)
    assert (_total(report)["offered"], _total(report)["service_level"]) == (0, None)
    assert any("No visits began in this period" in note for note in report.notes)


def test_a_queue_that_was_asked_for_is_there_even_if_nobody_came(fill: Any, visit: Any) -> None:
    report = _sla(fill(visit(), visit(queue="sales")), queues=("support", "night"))
    assert [(row["queue"], row["offered"]) for row in report.section("queues").rows()] == [("night", 0), ("support", 1)]
    assert _total(report)["offered"] == 1


def test_the_period_is_half_open(fill: Any, visit: Any) -> None:
    source = fill(*(visit(at=NOON + timedelta(microseconds=n)) for n in (-1, 0, 3_599_999_999, 3_600_000_000)))
    report = _sla(source, from_="2026-03-02T12:00", to="2026-03-02T13:00")
    assert _total(report)["offered"] == 2


def test_without_a_period_the_report_covers_every_visit_in_whole_local_days(fill: Any, visit: Any) -> None:
    source = fill(visit(at=NOON - timedelta(days=40)), visit(at=NOW + timedelta(hours=1)))
    report = _sla(source, tz="Asia/Kolkata")
    assert _total(report)["offered"] == 2
    assert report.from_ == datetime(2026, 1, 20, 18, 30, tzinfo=UTC)
    assert report.to == NOW + timedelta(hours=1, microseconds=1)


def test_visits_without_a_beginning_are_stated_and_in_no_number(fill: Any, visit: Any) -> None:
    report = _sla(fill(visit(), visit("abandoned", None, at=None), visit(origin="reported")))
    assert _total(report)["offered"] == 2
    assert any(note.startswith("1 more visits have no known beginning") for note in report.notes)
    assert any(note.startswith("1 visits have a beginning worked out") for note in report.notes)


def test_those_still_waiting_are_stated_and_in_no_rate(fill: Any, visit: Any) -> None:
    report = _sla(fill(visit(), visit("waiting", None)))
    assert _total(report)["service_level"] == 1
    assert any(note.startswith("1 visits are still waiting") for note in report.notes)


def test_thresholds_and_target_are_those_asked_for_and_stated(fill: Any, visit: Any) -> None:
    source = fill(visit(wait_secs=25), visit("abandoned", 7))
    report = _sla(source, threshold_secs=30, short_abandon_secs=10, target=0.9)
    assert _total(report)["service_level"] == 1
    assert (report.definition["threshold_secs"], report.definition["short_abandon_secs"]) == (30, 10)
    assert any("within 30 s" in note and "wait < 10 s" in note and "target 90 %" in note for note in report.notes)
    assert "All queues: 1 / (2 - 0 - 1) = 100.0 %." in report.notes


def test_a_cut_interval_is_said_to_be_cut(fill: Any, visit: Any) -> None:
    report = _sla(fill(visit()), from_="2026-03-02T11:50", to="2026-03-02T13:00", interval="30m")
    first = next(iter(report.section("intervals").rows()))
    assert (first["interval_start"], first["interval_end"]) == (NOON - timedelta(minutes=10), NOON)
    assert any("cuts its first or last interval" in note for note in report.notes)


def test_visits_of_no_queue_are_counted_too(fill: Any, visit: Any) -> None:
    report = _sla(fill(visit(queue=None), visit()), interval="1h")
    assert [row["queue"] for row in report.section("queues").rows()] == ["support", None]
    assert sum(row["offered"] for row in report.section("queue_intervals").rows()) == 2


def test_the_passes_of_the_repeated_hour_are_apart(fill: Any, visit: Any) -> None:
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    source = fill(visit(at=first), visit("abandoned", at=second))
    report = _sla(source, from_="2026-11-01", to="2026-11-02", tz="America/New_York", interval="1h")
    rows = [row for row in report.section("intervals").rows() if row["offered"]]
    assert [(row["interval_start"].hour, row["answered"], row["abandoned"]) for row in rows] == [(5, 1, 0), (6, 0, 1)]
    assert report.section("intervals").frame.height == 25


def test_a_long_period_gets_a_chart_that_can_be_read(fill: Any, visit: Any) -> None:
    source = fill(visit(at=NOON - timedelta(days=300)), visit())
    assert _sla(source).section("trend").frame.height < 100
    assert _sla(source, interval="1d").section("trend").frame.height < 100


def test_an_unknown_report_is_answered_with_those_there_are(fill: Any) -> None:
    with pytest.raises(RequestError, match="'slo' is not known: expected one of sla, queues, "):
        run("slo", fill(), a_request(NOW))


def test_an_outcome_that_nobody_defined_stops_the_report(fill: Any, visit: Any) -> None:
    with pytest.raises(SourceError, match=r"\['vanished'\] are not known: expected some of answered"):
        _sla(fill(visit("vanished")))
