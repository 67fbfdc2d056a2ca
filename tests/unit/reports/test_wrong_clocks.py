"""Facts whose clock was years off: no report's own period reaches for them, and each says that it leaves them out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reports.catalogue.registry import REPORTS, run
from tests.support.report_facts import everything
from tests.support.requests import a_request

DAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)
FAR = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)]


@pytest.mark.parametrize("name", sorted(set(REPORTS) - {"completeness"}))
def test_a_period_that_is_left_open_is_that_of_the_bulk(fill: Any, visit: Any, name: str) -> None:
    moments = [DAY + timedelta(hours=hour) for hour in range(9, 13)]
    visits, facts = everything(visit, [*moments, *FAR])
    report = run(name, fill(*visits, **facts), a_request(NOW))
    assert (report.from_, report.to) == (DAY, NOW)
    of_each = 3 if name == "end-reasons" else 1
    assert any(f"{3 * of_each} more" in note and "more than a year" in note for note in report.notes)
    assert run(name, fill(), a_request(NOW, from_="2026-01-01")).from_ == datetime(2026, 1, 1, tzinfo=UTC)


def test_completeness_is_that_of_the_bulk(fill: Any) -> None:
    moments = [DAY, DAY + timedelta(days=1), *FAR]
    said = {"event_type": "call.answered", "origin": "webhook", "verified": True}
    events = tuple(
        {**said, "occurred_at": at, "event_id": f"{at} {n}", "log_offset": n, "entity": f"{at}"}
        for at in moments
        for n in range(2)
    )
    source = fill(stored_events=events)
    report = run("completeness", source, a_request(NOW + timedelta(days=1)))
    assert [row["day"] for row in report.section("days").rows()] == ["2026-03-02", "2026-03-03"]
    apart = sum(row["heard"] + row["missing"] for row in _days(source) if row["day"][:4] != "2026")
    assert apart >= 2 * len(FAR)
    assert any(note.startswith(f"{apart} more events are left out") for note in report.notes)


def _days(source: Any) -> list[Any]:
    asked = a_request(NOW, from_="1960-01-01", to="2100-01-01")
    return list(run("completeness", source, asked).section("days").rows())


def test_what_is_asked_for_is_what_is_covered(fill: Any, visit: Any) -> None:
    source = fill(*(visit(at=at) for at in [*FAR, DAY, DAY + timedelta(hours=1)]))
    cases: tuple[tuple[dict[str, Any], tuple[datetime, datetime], int], ...] = (
        ({"from_": "2098-12-31"}, (datetime(2098, 12, 31, tzinfo=UTC), FAR[1] + timedelta(microseconds=1)), 1),
        ({"to": "1971-01-01"}, (FAR[0], datetime(1971, 1, 1, tzinfo=UTC)), 1),
        ({"from_": "1970-01-01", "to": "2100-01-01"}, (FAR[0], datetime(2100, 1, 1, tzinfo=UTC)), 5),
        ({"from_": "2026-03-02"}, (DAY, NOW), 2),
    )
    for options, period, offered in cases:
        report = run("sla", source, a_request(NOW, **options))
        total = report.section("queues").total_row()
        assert (report.from_, report.to) == period
        assert total is not None
        assert total["offered"] == offered
    assert not any("more than a year" in note for note in run("sla", fill(), a_request(NOW, to="1971-01-01")).notes)


def test_a_dequeue_whose_clock_was_off_ends_no_period(fill: Any, visit: Any) -> None:
    visits = [visit(at=DAY + timedelta(hours=hour)) for hour in range(9, 12)]
    late = {**visit(at=DAY + timedelta(hours=9)), "left_at": FAR[1], "wait_ms": None}
    report = run("depth", fill(*visits, late), a_request(NOW))
    assert (report.from_, report.to) == (DAY, NOW)


def test_who_leaves_after_midnight_is_in_the_period_to_the_end(fill: Any, visit: Any) -> None:
    source = fill(visit(at=DAY - timedelta(minutes=5), wait_secs=600))
    report = run("intervals", source, a_request(NOW + timedelta(days=7)))
    assert (report.from_, report.to) == (DAY - timedelta(days=1), DAY + timedelta(days=1))
    happened = report.section("happened").frame
    assert (happened["began"].sum(), happened["answered"].sum(), happened["waited_ms"].sum()) == (1, 1, 600_000)
