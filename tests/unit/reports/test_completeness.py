"""The score that reports show beside their numbers, and how figures below the floor are marked."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from reports import formats
from reports.catalogue.registry import completeness_of, run
from reports.source import Source
from reports.tables.report import Report
from tests.support.requests import a_request

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def sla(source: Source, **options: Any) -> Report:
    return run("sla", source, a_request(NOW, **options))


def told(visit: Any) -> dict[str, Any]:
    """A visit of which both webhooks came."""
    return {**visit(), "reason": "bridged"}


def test_the_score_is_the_share_of_enqueues_and_dequeues_that_are_known(fill: Any, visit: Any) -> None:
    source = fill(told(visit), told(visit), visit("unknown", None, queue="sales"))
    rows = {row["queue"]: row for row in sla(source).section("queues").rows()}
    assert rows["support"]["completeness"] == 1.0
    assert rows["sales"]["completeness"] == 0.5
    total = sla(source).section("queues").total_row()
    assert total is not None
    assert total["completeness"] == 5 / 6


def test_who_still_waits_is_due_no_dequeue(fill: Any, visit: Any) -> None:
    (row,) = sla(fill(visit("waiting", None))).section("queues").rows()
    assert row["completeness"] == 1.0


def test_figures_below_the_floor_are_marked_and_those_above_are_not(fill: Any, visit: Any) -> None:
    source = fill(told(visit), visit("unknown", None, queue="sales"))
    assert "BELOW THE FLOOR of 98.0 %: sales." in " ".join(sla(source).notes)
    assert "BELOW" not in " ".join(sla(source, completeness_floor=0.5).notes)


def test_every_row_of_visits_has_its_own_score(fill: Any, visit: Any) -> None:
    lost = {**visit("unknown", None), "enqueued_at": visit()["enqueued_at"] + timedelta(hours=1)}
    found = sla(fill(told(visit), lost), interval="30m", by=("queue",))
    scores = [row["completeness"] for row in found.section("queue_intervals").rows() if row["offered"]]
    assert scores == [1.0, 0.5]
    assert [row["below_floor"] for row in found.section("queue_intervals").rows() if row["offered"]] == [False, True]
    assert {row["completeness"] for row in found.section("queue_intervals").rows() if not row["offered"]} == {None}
    assert [row["completeness"] for row in found.section("by").rows()] == [0.75]


def test_every_format_shows_the_score_and_marks_what_is_below_the_floor(fill: Any, visit: Any) -> None:
    found = sla(fill(told(visit), visit("unknown", None, queue="sales")))
    rows = list(csv.DictReader(io.StringIO(formats.encoded(found, "csv").decode(), newline="")))
    assert [(row["queue"], row["completeness"], row["below_floor"]) for row in rows] == [
        ("sales", "0.5", "True"),
        ("support", "1.0", "False"),
    ]
    document = json.loads(formats.encoded(found, "json"))
    (queues,) = (section for section in document["sections"] if section["name"] == "queues")
    assert [(row["completeness"], row["below_floor"]) for row in queues["rows"]] == [(0.5, True), (1.0, False)]
    assert queues["totals"]["completeness"] == 0.75
    assert any(note.startswith("BELOW THE FLOOR") for note in document["notes"])
    table = formats.encoded(found, "table").decode()
    assert re.search(r"sales .* 50\.0 % !", table)
    assert "100.0 % !" not in table
    page = formats.encoded(found, "html").decode()
    assert '<td class="number missed">50.0 % !</td>' in page
    assert '<td class="number">100.0 %</td>' in page
    assert "below the floor" in page
    assert "BELOW THE FLOOR" in page


def test_a_report_of_any_kind_has_a_score_of_its_period(fill: Any, visit: Any) -> None:
    source = fill(told(visit), visit("unknown", None, queue="sales"))
    of_queues = run("queues", source, a_request(NOW))
    assert completeness_of(source, of_queues) == 3 / 4
    assert completeness_of(source, run("waits", source, a_request(NOW, queues=("support",)))) == 1.0
    # Of the day's events none is there, and one is proven.
    of_day = a_request(NOW, from_="2026-03-02", to="2026-03-03")
    assert completeness_of(source, run("conferences", source, of_day)) == 0.0
    assert completeness_of(source, run("conferences", source, a_request(NOW))) is None
    assert completeness_of(source, run("sla", source, a_request(NOW, queues=("night",)))) is None
