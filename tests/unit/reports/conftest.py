"""A warehouse in memory, from the real schema, with the visits and conferences that a test names."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import duckdb
import pytest

from reports.source import Source
from tests.support.report_facts import NOON, Row, insert
from warehouse.scripts import SCHEMA, VIEWS

Fill = Callable[..., Source]
Visit = Callable[..., Row]


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
    db.execute(SCHEMA.replace(" using compression zstd", ""))
    db.execute(VIEWS["completeness"])

    def filled(*visits: Row, **facts: tuple[Row, ...]) -> Source:
        for table, rows in {"queue_visits": visits, **facts}.items():
            insert(db, table, rows)
        return Source(db)

    yield filled
    db.close()
