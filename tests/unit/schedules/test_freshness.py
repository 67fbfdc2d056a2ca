"""Whether a period has landed: what the log's end, the positions and the times of receipt say of it."""

import asyncio
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from eventlog.log import LogExtent, Record
from eventlog.sqlite.log import SqliteLog
from processors.landing.landing import Landing
from reconciler.outage import between
from reconciler.windows import Window
from schedules.freshness import (
    lacking,
    last_landing,
    log_end,
    outage,
)
from tests.support.builders import (
    NOON,
    a_batch,
    a_call,
    bodies,
    microseconds,
    opened_warehouse,
)
from warehouse.database import open_writer

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in which two records have landed, at positions 1 and 2, received at NOON; judged an hour later."""
    opened = open_writer(tmp_path_factory.mktemp("center") / "warehouse.duckdb")
    call = a_call().queued(at=NOON).dequeued("hangup", after=10)
    Landing(opened).land(a_batch(bodies(call), received=NOON), NOON + HOUR)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("end", "until", "wanted"),
    [
        ({0: 2}, NOON + 9 * HOUR, None),  # all of the log, although nothing has come since
        ({0: 1}, NOON + 9 * HOUR, None),  # the replica is newer than the answer of the log
        ({0: 7}, NOON + 9 * HOUR, "5 records of the log are not in the replica yet"),
        ({0: 7}, NOON, None),  # they came after the period's end, because one that landed did
        ({0: 7}, NOON + timedelta(microseconds=1), "5 records"),
        ({0: 2, 1: 3}, NOON + 9 * HOUR, "3 records"),  # a partition of which nothing has landed
        (None, NOON, None),
        (None, NOON + HOUR, None),  # the log cannot be asked, but the facts were judged by a later clock
        (None, NOON + HOUR + timedelta(seconds=1), "nothing has landed that was received after 2026-02-03 13:00 UTC"),
    ],
)
def test_a_period_is_complete_when_all_that_was_received_before_its_end_has_landed(
    db: duckdb.DuckDBPyConnection, end: dict[int, int] | None, until: datetime, wanted: str | None
) -> None:
    found = lacking(db, None if end is None else LogExtent(end, 1), until)
    assert found == wanted if wanted is None else wanted in (found or "")


def test_the_log_says_how_far_it_goes_while_it_is_written_and_one_that_is_elsewhere_says_nothing(
    tmp_path: Path,
) -> None:
    end = log_end(tmp_path / "log.sqlite")
    assert end() is None

    async def append() -> None:
        log = SqliteLog(tmp_path / "log.sqlite")
        await log.start()
        for _ in range(3):
            await log.append(Record(b"{}", microseconds(NOON)))
        assert end() == LogExtent({0: 3}, 1)
        await log.close()

    asyncio.run(append())
    assert end() == LogExtent({0: 3}, 1)
    (tmp_path / "log.sqlite").write_bytes(b"something else altogether")
    assert end() is None


def test_a_record_that_came_while_the_clock_was_ahead_says_nothing_of_later_times() -> None:
    with opened_warehouse() as warehouse:
        events = bodies(a_call().queued(at=NOON).dequeued("hangup", after=10))
        ahead = NOON + timedelta(days=400)
        warehouse.land_bodies(events[:1], received=ahead)
        assert lacking(warehouse.db, LogExtent({0: 9}, 1), NOON + HOUR) is None, (
            "it is the last, so the clock is believed"
        )
        warehouse.land_bodies(events[1:], received=NOON)
        stale = a_batch([b"late"], first_offset=3, received=ahead, rejections=["stale"])
        warehouse.landing.land(stale, NOON)
        assert "6 records" in (lacking(warehouse.db, LogExtent({0: 9}, 1), NOON + HOUR) or "")


@pytest.mark.parametrize(
    ("landed_at", "until", "wanted"),
    [
        (NOON + 9 * HOUR, NOON + 9 * HOUR, None),
        (NOON + 9 * HOUR - timedelta(minutes=2), NOON + 9 * HOUR, None),  # time alone is landed once a minute
        (NOON + 9 * HOUR - timedelta(minutes=3), NOON + 9 * HOUR, "nothing has landed since 2026-02-03 20:57 UTC"),
        (NOON - HOUR, NOON, None),  # a record that came later is there
        (NOON - HOUR, NOON + HOUR, None),  # the facts were judged by a later clock
        (NOON - HOUR, NOON + HOUR + timedelta(seconds=1), "nothing has landed since 2026-02-03 11:00 UTC"),
    ],
)
def test_a_period_at_whose_end_nobody_was_there_is_not_complete(
    db: duckdb.DuckDBPyConnection, landed_at: datetime, until: datetime, wanted: str | None
) -> None:
    found = lacking(db, LogExtent({0: 2}, 1), until, landed_at=landed_at)
    assert found == wanted if wanted is None else wanted in (found or "")


def test_what_lands_last_is_seen_from_the_warehouse_and_from_its_wal(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    assert last_landing(warehouse) is None
    for path, at in ((warehouse, NOON), (tmp_path / "warehouse.duckdb.wal", NOON + HOUR)):
        path.touch()
        os.utime(path, (at.timestamp(), at.timestamp()))
        assert last_landing(warehouse) == at


def test_an_outage_over_the_end_is_told_until_telnyx_was_asked_what_came_meanwhile() -> None:
    def told(start: datetime, end: datetime) -> bytes:
        record = between(start, end)
        assert record is not None
        return record.body

    with opened_warehouse() as warehouse:
        warehouse.land_bodies(
            [told(NOON, NOON + HOUR), told(NOON + 5 * HOUR, NOON + 7 * HOUR)], received=NOON + 8 * HOUR
        )
        for until in (NOON, NOON + HOUR + timedelta(seconds=1), NOON + 5 * HOUR, NOON + 8 * HOUR):
            assert outage(warehouse.db, until) is None
        wanted = "ingest was down from 2026-02-03 17:00 to 2026-02-03 19:00 UTC, over the end of the period"
        assert outage(warehouse.db, NOON + 6 * HOUR) == wanted
        read = [
            Window(NOON + 3 * HOUR, NOON + 6 * HOUR).completed("detail_records"),
            Window(NOON + 3 * HOUR, NOON + 5 * HOUR).completed("webhook_deliveries"),
        ]
        warehouse.land_bodies([each.body for each in read], received=NOON + 8 * HOUR)
        assert outage(warehouse.db, NOON + 6 * HOUR) == wanted
        warehouse.land_bodies(
            [Window(NOON + 3 * HOUR, NOON + 6 * HOUR).completed("webhook_deliveries").body], received=NOON + 8 * HOUR
        )
        assert outage(warehouse.db, NOON + 6 * HOUR) is None
