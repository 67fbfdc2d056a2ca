"""The same event id with different contents: all are kept and named, one counts, whichever came first."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.builders import (
    NOON,
    Event,
    Warehouse,
    a_call,
    a_warehouse,
    opened_warehouse,
)

CALL = a_call("ann").queued(at=NOON, queue="support").abandoned(after=41)
ENQUEUED, *REST = CALL.events
DIGIT = Event("digit-1", "call.dtmf.received", NOON, {"call_leg_id": "ann", "reason": "1"})
"""A type on which no fact rests."""

RIVALS: dict[str, tuple[Event, Event]] = {
    "another queue": (ENQUEUED, ENQUEUED.saying(queue="sales")),
    "a later time": (ENQUEUED, ENQUEUED.but(at=NOON + timedelta(seconds=30))),
    "a time hours later": (ENQUEUED, ENQUEUED.but(at=NOON + timedelta(hours=20))),
    "a type without facts": (DIGIT, DIGIT.saying(reason="2")),
}


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        yield opened


def landed(*batches: list[Event]) -> Warehouse:
    opened = a_warehouse()
    for events in batches:
        opened.land(*events)
    return opened


def counting(warehouse: Warehouse, event_id: str) -> list[tuple[object, ...]]:
    return warehouse.db.execute(
        "select occurred_at, queue, reason from events where event_id = ?", [event_id]
    ).fetchall()


@pytest.mark.parametrize("rivals", RIVALS.values(), ids=RIVALS)
def test_an_id_seen_again_with_different_content_is_kept_flagged_and_counted(
    warehouse: Warehouse, rivals: tuple[Event, Event]
) -> None:
    changed = warehouse.land(*rivals, *REST)
    assert (changed.events, changed.duplicates, changed.contradictions) == (2 + len(REST), 0, 1)
    stored = warehouse.db.execute(
        "select count(*) from stored_events where event_id = ?", [rivals[0].event_id]
    ).fetchall()
    assert stored == [(2,)]
    assert len(counting(warehouse, rivals[0].event_id)) == 1, "an event is in `events` once"
    named = warehouse.db.execute("select event_id, entity, event_type from contradictions").fetchall()
    assert named == [(rivals[0].event_id, "v3:ann", rivals[0].event_type)]


@pytest.mark.parametrize("rivals", RIVALS.values(), ids=RIVALS)
def test_which_content_counts_depends_on_neither_order_nor_batching(rivals: tuple[Event, Event]) -> None:
    events = [*rivals, *REST]
    one_by_one = [[event] for event in events]
    ways = [landed(events), landed(events[::-1]), landed(*one_by_one), landed(*one_by_one[::-1])]
    first, *others = [(warehouse.facts(), counting(warehouse, rivals[0].event_id)) for warehouse in ways]
    assert all(other == first for other in others)
    for warehouse in ways:
        live = warehouse.facts()
        warehouse.rebuild()
        assert warehouse.facts() == live
        warehouse.db.close()


def test_an_id_of_a_type_with_facts_and_of_one_without_both_count_in_any_order() -> None:
    digit = ENQUEUED.but(event_type=DIGIT.event_type, at=NOON - timedelta(seconds=1))
    for batches in ([[digit, *CALL]], [[digit], [*CALL]], [[*CALL], [digit]]):
        warehouse = landed(*batches)
        assert warehouse.rows("contradictions") == []
        assert len(counting(warehouse, ENQUEUED.event_id)) == 2
        assert warehouse.only("queue_visits")["wait_ms"] == 41_000
        warehouse.db.close()


def test_rivals_of_one_kind_are_named_whatever_becomes_of_the_same_id_in_another(warehouse: Warehouse) -> None:
    digit = ENQUEUED.but(event_type=DIGIT.event_type)
    warehouse.land(ENQUEUED, ENQUEUED.saying(queue="sales"), *REST)
    warehouse.land(digit, digit.saying(reason="2"))
    named = warehouse.db.execute("select event_type from contradictions order by all").fetchall()
    assert named == [(DIGIT.event_type,), (ENQUEUED.event_type,)]


def test_a_call_told_twice_differently_is_one_visit_from_the_earlier_time(warehouse: Warehouse) -> None:
    late = ENQUEUED.but(at=NOON + timedelta(seconds=30))
    warehouse.land(late, *REST)
    assert warehouse.only("queue_visits")["wait_ms"] == 11_000
    warehouse.land(ENQUEUED)
    assert warehouse.only("queue_visits")["wait_ms"] == 41_000


def test_a_third_content_and_repeated_deliveries_add_no_more_than_themselves(warehouse: Warehouse) -> None:
    rivals = [ENQUEUED, ENQUEUED.saying(current_position=7), ENQUEUED.saying(current_position=8)]
    for event in (*rivals, *rivals, *REST):
        warehouse.land(event)
    assert warehouse.db.execute("select count(*) from contradictions").fetchall() == [(2,)]
    assert len(warehouse.dicts("queue_visits")) == 1
    assert len(counting(warehouse, ENQUEUED.event_id)) == 1


def test_a_retry_that_differs_only_in_its_attempt_contradicts_nothing(warehouse: Warehouse) -> None:
    warehouse.land_bodies([ENQUEUED.body(attempt=1), ENQUEUED.body(attempt=2)])
    warehouse.land_bodies([ENQUEUED.but(shape="call_events").body(), ENQUEUED.but(misplaced=True).body()])
    assert warehouse.db.execute("select count(*) from stored_events").fetchall() == [(1,)]
    assert warehouse.db.execute("select count(*) from contradictions").fetchall() == [(0,)]
