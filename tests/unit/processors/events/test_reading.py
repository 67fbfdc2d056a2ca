"""Reading ahead: a batch that was read before its turn lands as if it had not been."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from eventlog.batch import Batch, Positions
from eventlog.log import Record
from eventlog.sqlite.log import SqliteLog
from processors.landing import prefetcher, speculator
from processors.landing.landed import Landed
from processors.landing.prefetcher import Prefetcher
from processors.landing.prepared import Prepared
from processors.landing.speculator import Preparer
from tests.support.builders import (
    LATER,
    NOON,
    Warehouse,
    a_batch,
    a_call,
    a_conference,
    bodies,
    microseconds,
    opened_warehouse,
)

SAID = [
    *bodies(
        a_call().queued(at=NOON).answered(after=41, ringing=2).talked(300),
        a_conference().created().joined("ann", 1).floor("ann", 2).recorded(3, 4).left("ann", 60).ended(61),
    ),
    b"not an event",
    b"\xff",
    b"{}",
]


def landed(warehouse: Warehouse, batch: Batch | Prepared) -> tuple[Landed, dict[str, list[Any]]]:
    said = warehouse.landing.land(batch, LATER)
    tables = ("events", "rejected", "log_positions", "undated_events")
    return said, {**warehouse.facts(), **{table: warehouse.rows(table) for table in tables}}


def test_a_batch_read_ahead_lands_as_it_would_have() -> None:
    with opened_warehouse() as one, opened_warehouse() as other:
        batch = a_batch([*SAID, *SAID[:3]])
        assert landed(one, Preparer()(batch)) == landed(other, batch)


def test_each_event_of_a_large_batch_has_its_own_text() -> None:
    calls = [a_call(f"leg-{number}").queued(at=NOON) for number in range(5_000)]
    with opened_warehouse() as warehouse:
        batch = a_batch(bodies(*calls))
        warehouse.landing.land(Preparer()(batch), LATER)
        told = dict(warehouse.rows("(select log_offset, body::blob from events)"))
        strangers = warehouse.rows("(select event_id from events where not contains(body, event_id))")
    assert told == dict(zip(range(1, len(batch) + 1), batch.bodies, strict=True))
    assert strangers == []


def test_a_batch_of_which_some_has_landed_since_it_was_read_lands_the_rest() -> None:
    with opened_warehouse() as warehouse:
        batch = a_batch(SAID)
        prepared = Preparer()(batch)
        warehouse.landing.land(batch.part(0, 5), LATER)
        assert warehouse.landing.land(prepared, LATER).records == len(SAID) - 5
        assert warehouse.landing.land(prepared, LATER).records == 0


@pytest.mark.parametrize("memory", ["1MB", "24MB"], ids=["too little to open", "too little to read"])
def test_what_cannot_be_read_ahead_is_read_when_it_lands(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speculator, "MEMORY_LIMIT", memory)
    with opened_warehouse() as one, opened_warehouse() as other:
        batch = a_batch(SAID * 1_000)
        with capture_logs() as said:
            prepared = Preparer()(batch)
        assert [(each["event"], each["reason"]) for each in said] == [("not_read_ahead", "OutOfMemoryException")]
        assert landed(one, prepared) == landed(other, batch)


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    """A log of five records."""
    made = SqliteLog(tmp_path / "log.sqlite")

    async def fill() -> None:
        await made.start()
        for body in SAID[:5]:
            await made.append(Record(body, microseconds(NOON)))
        await made.close()

    asyncio.run(fill())
    return made


def test_the_next_batch_is_read_and_prepared_before_it_is_asked_for(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetcher, "MIN_PREFETCH", 2)
    made: list[Prepared] = []

    def prepare(batch: Batch) -> Prepared:
        made.append(Prepared(batch))
        return made[-1]

    with Prefetcher(log, 2, prepare) as reader:
        first = reader.read({})
        second = reader.read(first.batch.reached())
        third = reader.read(second.batch.reached())
    assert [each.batch.bodies for each in (first, second, third)] == [SAID[:2], SAID[2:4], SAID[4:5]]
    assert made == [second, third], "the very values that were handed out"


def test_the_first_batch_of_a_backlog_is_half_as_large(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetcher, "MIN_PREFETCH", 1)
    with Prefetcher(log, 3, Prepared) as reader:
        first = reader.read({})
        second = reader.read(first.batch.reached())
        assert [len(first.batch), len(second.batch)] == [1, 3]
        assert len(reader.read({}).batch) == 1, "and so is one that was asked for anew"


def test_what_is_read_ahead_in_vain_is_waited_for_before_anything_is_read_anew(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetcher, "MIN_PREFETCH", 1)
    asked: list[Positions] = []
    reading, two_at_a_time = threading.Lock(), threading.Event()
    read = log.read

    def slow(after: Positions, limit: int) -> Batch:
        asked.append(after)
        if not reading.acquire(blocking=False):
            two_at_a_time.set()
            return read(after, limit)
        try:
            two_at_a_time.wait(0.2 if len(asked) > 1 else 0)  # as long as another one might come
            return read(after, limit)
        finally:
            reading.release()

    monkeypatch.setattr(log, "read", slow)
    with Prefetcher(log, 2, Prepared) as reader:
        first = reader.read({})
        again = reader.read({})  # it had not landed
        assert again.batch.bodies == first.batch.bodies
    assert asked[:3] == [{}, first.batch.reached(), {}]
    assert not two_at_a_time.is_set()
