"""`--queue` on facts that have no queue: all of every session that ever visited it."""

from datetime import timedelta
from typing import Any

import pytest

from reports.catalogue.registry import run
from tests.support.report_facts import NOON, Row
from tests.support.requests import a_request

TABLES = {
    "calls": ("calls", "initiated_at", "directions", "calls"),
    "conferences": ("conferences", "created_at", "conferences", "conferences"),
    "participants": ("participant_stays", "joined_at", "participants", "stays"),
    "recordings": ("recordings", "started_at", "recordings", "recordings"),
}


def facts(moment: str) -> tuple[Row, ...]:
    """One fact at noon of each of some sessions, and one of no session."""
    sessions = ("lately", "long ago", "later", "undated", "elsewhere", "never", None)
    return tuple({moment: NOON, "call_session_id": session, "status": "ended"} for session in sessions)


@pytest.mark.parametrize("name", TABLES)
def test_a_session_belongs_to_a_queue_that_it_ever_visited(fill: Any, visit: Any, name: str) -> None:
    table, moment, section, count = TABLES[name]
    rows = facts(moment)
    if table in {"participant_stays", "recordings"}:
        rows = tuple({key: value for key, value in row.items() if key != "status"} for row in rows)
    source = fill(
        {**visit(at=NOON), "call_session_id": "lately"},
        {**visit(at=NOON - timedelta(days=400)), "call_session_id": "long ago"},
        {**visit(at=NOON + timedelta(days=40)), "call_session_id": "later"},
        {**visit(at=None), "call_session_id": "undated"},
        {**visit(queue="sales"), "call_session_id": "elsewhere"},
        {**visit(), "call_session_id": None},
        **{table: rows},
    )

    def counted(**options: Any) -> int:
        request = a_request(NOON + timedelta(days=1), from_="2026-03-02", to="2026-03-03", **options)
        of = run(name, source, request).section(section)
        row = of.total_row() or next(of.rows())
        return int(row[count])

    assert counted(queues=("support",)) == 4
    assert counted(queues=("support", "sales")) == 5
    assert counted() == 7
