"""The score that reports show beside their numbers, and how figures below the floor are marked."""

from datetime import UTC, datetime
from typing import Any

import pytest

from reports.errors import RequestError
from reports.registry import run
from reports.report import Report
from reports.request import parse
from reports.source import Source

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def sla(source: Source, **options: Any) -> Report:
    return run("sla", source, parse(now=NOW, **options))


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


def test_completeness_cannot_be_asked_of_the_past(fill: Any, visit: Any) -> None:
    source = fill(visit())
    past = Source(source.db, as_of=NOW)
    with pytest.raises(RequestError, match="no --as-of"):
        run("completeness", past, parse(now=NOW))
