"""The facts that a test of reports names, in a warehouse in memory of the real schema."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

Row = Mapping[str, Any]

# What a column that must not be empty holds where a test does not care.
_ANYTHING = {
    "BOOLEAN": "true",
    "VARCHAR": "'x'",
    "INTEGER": "1",
    "BIGINT": "0",
    "TIMESTAMP WITH TIME ZONE": "timestamptz '2026-01-01'",
}


def insert(db: duckdb.DuckDBPyConnection, table: str, rows: tuple[Row, ...]) -> None:
    """Insert rows that say only what a test cares about."""
    if not rows:
        return
    given = pa.Table.from_pylist([dict(row) for row in rows])
    required = db.execute(
        "select column_name, data_type from duckdb_columns() where table_name = ? and not is_nullable", [table]
    ).fetchall()
    others = [f", {_ANYTHING[kind]} as {name}" for name, kind in required if name not in given.column_names]
    db.register("given", given)
    db.execute(f"insert into {table} by name select * {''.join(others)} from given")
    db.unregister("given")


# Of every report with intervals: the section that has them, and what it counts there.
COUNTED = {
    "sla": ("queue_intervals", "offered"),
    "queues": ("queue_intervals", "offered"),
    "abandonment": ("queue_intervals", "abandoned"),
    "waits": ("queue_intervals", "waits"),
    "intervals": ("happened", "began"),
    "depth": ("queue_intervals", "peak"),
    "staffing": ("staffing", "offered"),
    "conferences": ("intervals", "conferences"),
    "participants": ("intervals", "stays"),
    "end-reasons": ("visits", "visits"),
    "recordings": ("intervals", "recordings"),
    "calls": ("intervals", "calls"),
}


def everything(visit: Any, moments: list[datetime]) -> tuple[list[Any], dict[str, Any]]:
    """A visit that is given up, a conference, a stay, a recording and a call of each moment, a second long."""
    second = timedelta(seconds=1)
    return [visit("abandoned", 1, at=at) for at in moments], {
        "conferences": tuple(
            {"created_at": at, "ended_at": at + second, "duration_ms": 1000, "status": "completed"} for at in moments
        ),
        "participant_stays": tuple({"joined_at": at, "left_at": at + second, "duration_ms": 1000} for at in moments),
        "recordings": tuple({"started_at": at, "ended_at": at + second, "duration_ms": 1000} for at in moments),
        "calls": tuple({"initiated_at": at, "ended_at": at + second, "status": "ended"} for at in moments),
    }
