"""A warehouse in memory, from the real schema, with the visits and conferences that a test names."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from reports.source import Source

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
Row = Mapping[str, Any]
Fill = Callable[..., Source]
Visit = Callable[..., Row]

# What a column that must not be empty holds where a test does not care.
_ANYTHING = {
    "VARCHAR": "'x'",
    "INTEGER": "1",
    "BIGINT": "0",
    "BOOLEAN": "true",
    "TIMESTAMP WITH TIME ZONE": "timestamptz '2026-01-01'",
}


@pytest.fixture
def visit() -> Visit:
    def built(
        outcome: str = "answered",
        wait_secs: float | None = 10,
        *,
        queue: str | None = "support",
        at: datetime | None = NOON,
        origin: str = "observed",
    ) -> Row:
        wait_ms = None if wait_secs is None else round(wait_secs * 1000)
        left_at = at + timedelta(milliseconds=wait_ms) if at is not None and wait_ms is not None else None
        return {
            "queue": queue,
            "enqueued_at": at,
            "enqueued_at_source": origin,
            "left_at": left_at,
            "wait_ms": wait_ms,
            "outcome": outcome,
        }

    return built


@pytest.fixture
def fill() -> Iterator[Fill]:
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    db.execute(files("warehouse").joinpath("schema.sql").read_text().replace(" using compression zstd", ""))
    db.execute(files("warehouse").joinpath("completeness.sql").read_text())

    def filled(*visits: Row, **facts: tuple[Row, ...]) -> Source:
        for table, rows in {"queue_visits": visits, **facts}.items():
            insert(db, table, rows)
        return Source(db)

    yield filled
    db.close()


def insert(db: duckdb.DuckDBPyConnection, table: str, rows: tuple[Row, ...]) -> None:
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
