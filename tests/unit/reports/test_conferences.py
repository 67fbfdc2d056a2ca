"""The report `conferences`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from reports.catalogue.registry import run
from reports.formats import FORMATS, render
from reports.source import Source
from reports.tables.report import Report
from tests.support.requests import a_request

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def _conference(
    minutes: float | None, reason: str | None = "all_left", at: datetime | None = NOON, peak: int = 2
) -> Any:
    duration_ms = None if minutes is None else round(minutes * 60_000)
    return {
        "created_at": at,
        "duration_ms": duration_ms,
        "status": "in_progress" if minutes is None else "completed",
        "end_reason": reason if minutes is not None else None,
        "end_reason_source": "webhook" if minutes is not None else None,
        "participants": peak + 1,
        "unique_participants": peak,
        "peak_participants": peak,
        "participant_ms": peak * (duration_ms or 0),
        "floor_changes": 3,
        "recordings": 1,
    }


def _report(source: Source, **options: Any) -> Report:
    return run("conferences", source, a_request(NOON + timedelta(days=1), **options))


def test_conferences_are_counted_and_measured(fill: Any) -> None:
    conferences = (
        _conference(1),
        _conference(2),
        _conference(6, "host_left", peak=5),
        _conference(7, at=NOON + timedelta(hours=1)),
        _conference(None),
    )
    report = _report(fill(conferences=conferences))
    (row,) = report.section("conferences").rows()
    assert (row["conferences"], row["completed"], row["in_progress"]) == (5, 4, 1)
    minutes = {name: row[f"{name}_duration_ms"] / 60_000 for name in ("total", "mean", "median", "longest")}
    assert minutes == {"total": 16, "mean": 4, "median": 2, "longest": 7}
    assert (row["peak_participants"], row["stays"], row["unique_participants"], row["floor_changes"]) == (5, 18, 13, 15)
    assert row["participant_ms"] == (2 + 4 + 30 + 14) * 60_000
    reasons = [(row["end_reason"], row["conferences"]) for row in report.section("end_reasons").rows()]
    assert reasons == [("all_left", 3), ("host_left", 1)]


def test_every_interval_is_there_and_an_empty_one_has_no_durations(fill: Any) -> None:
    source = fill(conferences=(_conference(1), _conference(3, at=NOON + timedelta(hours=2))))
    report = _report(source, from_="2026-03-02T12:00", to="2026-03-02T15:00", interval="1h")
    rows = list(report.section("intervals").rows())
    assert [row["conferences"] for row in rows] == [1, 0, 1]
    assert (rows[1]["mean_duration_ms"], rows[1]["longest_duration_ms"], rows[1]["peak_participants"]) == (None,) * 3


def test_one_that_nobody_heard_begin_is_stated(fill: Any) -> None:
    report = _report(fill(conferences=(_conference(1), _conference(1, at=None))), queues=("support",))
    assert any("1 more conferences have no known beginning" in note for note in report.notes)
    assert any("belongs to a queue where its session visited it" in note for note in report.notes)


def test_no_conferences_make_a_report_that_says_so_in_every_format(fill: Any) -> None:
    report = _report(fill())
    (row,) = report.section("conferences").rows()
    assert (row["conferences"], row["mean_duration_ms"], row["total_duration_ms"]) == (0, None, 0)
    assert report.notes[0] == "There are no conferences to report on. Times are in UTC."
    assert all(render(report, form) for form in FORMATS)
