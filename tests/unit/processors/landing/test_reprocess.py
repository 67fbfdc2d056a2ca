"""What was rejected and is landed again: nothing is lost, nothing doubled, and what it came with stays."""

from collections.abc import Iterator
from datetime import timedelta

import duckdb
import pytest

from processors.events import rejected
from processors.landing.landed import Landed
from processors.landing.reprocess import reprocess
from tests.support.builders import (
    LATER,
    NOON,
    Warehouse,
    a_batch,
    a_call,
    bodies,
    opened_warehouse,
)

NOTHING_LANDED = Landed(0, 0, 0, 0, 0, {})
TOMORROW = LATER + timedelta(days=1)
ENQUEUED, DEQUEUED = a_call("ann").queued(at=NOON).dequeued("timeout", after=5)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        opened.landing.land(
            a_batch(
                [ENQUEUED.body(), b"not json", b'{"data":{}}', DEQUEUED.body()],
                received=[
                    NOON,
                    NOON + timedelta(seconds=1),
                    NOON + timedelta(seconds=2),
                    NOON + timedelta(seconds=400),
                ],
                rejections=["stale", None, None, "stale"],
            ),
            LATER,
        )
        yield opened


def again(warehouse: Warehouse, reason: str | None = None) -> Landed:
    total = NOTHING_LANDED
    for landed in reprocess(warehouse.db, warehouse.landing, reason=reason, clock=lambda: TOMORROW):
        total += landed
    return total


def kept(warehouse: Warehouse) -> list[tuple[str, bytes]]:
    return [(row["reason"], row["body"]) for row in warehouse.dicts("rejected")]


def test_what_was_stale_becomes_events_and_facts_and_the_rest_stays_untouched(warehouse: Warehouse) -> None:
    before = warehouse.dicts("rejected")[1:3]
    landed = again(warehouse)
    assert (landed.records, landed.events, landed.duplicates, landed.rejected) == (4, 2, 0, 2)
    assert warehouse.dicts("rejected") == before
    assert warehouse.only("queue_visits")["outcome"] == "timed_out"


def test_an_event_keeps_when_and_how_it_came_and_its_place_in_the_log(warehouse: Warehouse) -> None:
    warehouse.db.execute("update rejected set origin = 'reconciler', verified = false where log_offset = 4")
    again(warehouse)
    _, event = warehouse.dicts("events")
    assert event["received_at"] == NOON + timedelta(seconds=400)
    assert event["stored_at"] == TOMORROW
    assert (event["origin"], event["verified"]) == ("reconciler", False)
    assert (event["log_partition"], event["log_offset"]) == (0, 4)
    assert event["body"].encode() == DEQUEUED.body()


def test_the_log_goes_on_where_it_was(warehouse: Warehouse) -> None:
    before = warehouse.rows("log_positions")
    again(warehouse)
    assert warehouse.rows("log_positions") == before
    assert warehouse.landing.land(a_batch(bodies(a_call("bob").queued(at=NOON)), first_offset=5), TOMORROW).events == 1


def test_doing_it_twice_changes_nothing_more(warehouse: Warehouse) -> None:
    again(warehouse)
    tables = ("events", "rejected", "queue_visits", "log_positions")
    before = {table: warehouse.rows(table) for table in tables}
    landed = again(warehouse)
    assert (landed.records, landed.events, landed.rejected) == (2, 0, 2)
    assert {table: warehouse.rows(table) for table in tables} == before


def test_what_came_again_meanwhile_is_known_and_leaves(warehouse: Warehouse) -> None:
    warehouse.landing.land(a_batch([ENQUEUED.body(attempt=2)], first_offset=5), LATER)
    landed = again(warehouse)
    assert (landed.events, landed.duplicates, landed.rejected) == (1, 1, 2)
    assert [reason for reason, _ in kept(warehouse)] == ["not_json", "no_event_id"]
    assert len(warehouse.rows("events")) == 2


def test_one_reason_alone_can_be_landed(warehouse: Warehouse) -> None:
    landed = again(warehouse, "not_json")
    assert (landed.records, landed.rejected) == (1, 1)
    assert len(kept(warehouse)) == 4
    assert again(warehouse, "stale").events == 2
    assert [reason for reason, _ in kept(warehouse)] == ["not_json", "no_event_id"]


@pytest.mark.parametrize(("records", "size"), [(1, 1 << 20), (2, 1 << 20), (1000, 1), (3, 1)])
def test_all_of_it_is_gone_through_however_small_the_batches(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, records: int, size: int
) -> None:
    monkeypatch.setattr(rejected, "BATCH_RECORDS", records)
    monkeypatch.setattr(rejected, "BATCH_BYTES", size)
    landed = again(warehouse)
    assert (landed.records, landed.events, landed.rejected) == (4, 2, 2)


def test_a_failure_while_landing_leaves_everything_where_it_was(warehouse: Warehouse) -> None:
    before = warehouse.rows("rejected")
    warehouse.db.execute("alter table queue_visits rename to elsewhere")
    with pytest.raises(duckdb.Error, match="queue_visits"):
        again(warehouse)
    warehouse.db.execute("alter table elsewhere rename to queue_visits")
    assert warehouse.rows("rejected") == before
    assert warehouse.rows("events") == []
    assert again(warehouse).events == 2


def test_a_record_that_cannot_land_stays_and_keeps_nobody_else(warehouse: Warehouse) -> None:
    class Landing:
        """A landing in which one body breaks every batch that it is in."""

        def reprocess(self, batch: object, now: object) -> Landed:
            if ENQUEUED.body() in batch.bodies:  # type: ignore[attr-defined]
                raise duckdb.ConversionException("that one")
            return warehouse.landing.reprocess(batch, now)  # type: ignore[arg-type]

    landings = reprocess(warehouse.db, Landing(), reason=None, clock=lambda: TOMORROW)  # type: ignore[arg-type]
    total = sum(landings, NOTHING_LANDED)
    assert (total.records, total.events, total.rejected) == (4, 1, 3)
    assert ("stale", ENQUEUED.body()) in kept(warehouse)
    assert ("stale", DEQUEUED.body()) not in kept(warehouse)


def test_a_replayed_record_that_is_kept_already_is_not_kept_twice(warehouse: Warehouse) -> None:
    def replayed(*said: bytes, first_offset: int) -> Landed:
        return warehouse.landing.land(a_batch(said, first_offset=first_offset, origin="replay"), LATER)

    first = replayed(b"not json", b"bad too", first_offset=5)
    assert (first.rejected, first.duplicates) == (1, 1)
    second = replayed(b"not json", b"bad too", first_offset=7)
    assert (second.rejected, second.duplicates) == (0, 2)
    assert [body for _, body in kept(warehouse)].count(b"not json") == 1
    webhook = warehouse.landing.land(a_batch([b"not json"], first_offset=9), LATER)
    assert webhook.rejected == 1, "what a webhook brought is kept each time it came"


def test_what_is_left_of_damaged_records_never_becomes_an_event(warehouse: Warehouse) -> None:
    (event,) = a_call("eve").queued(at=NOON)
    damaged = a_batch([event.body()], partition=7, rejections=["damaged"])
    warehouse.landing.land(damaged, LATER)
    assert again(warehouse, "damaged").records == 0
    assert again(warehouse).events == 2
    assert ("damaged", event.body()) in kept(warehouse)
