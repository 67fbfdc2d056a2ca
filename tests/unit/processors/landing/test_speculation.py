"""Facts derived ahead of a batch's turn: those that landing would have derived, whatever the warehouse knows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from processors.landing.evaluation import LONGEST_WAIT
from processors.landing.landing import Landing
from processors.landing.speculator import Speculator
from tests.support.builders import (
    LATER,
    NOON,
    Event,
    a_batch,
    a_call,
    a_conference,
    bodies,
    opened_warehouse,
)

ANN = list(a_call("ann").queued(at=NOON).answered(after=41, ringing=2).talked(300))
BOB = list(a_call("bob").queued(at=NOON).abandoned(after=7))
ROOM = list(a_conference().created().joined("ann", 1).floor("ann", 2).recorded(3, 4).left("ann", 60).ended(61))
UNCONFIRMED = list(a_call("eve").queued(at=NOON).dequeued("bridging-in-process", after=9).hung_up())
BRIDGED = next(event for event in ANN if event.event_type == "call.bridged")
ALONE = a_conference("elsewhere").created().joined("bob", 3).events[1].without("call_control_id")
DAY = timedelta(days=1)

HISTORIES: dict[str, list[list[Event]]] = {
    "calls that begin and end in the batch": [[*ANN, *BOB, *ROOM]],
    "calls that go on in the next batch": [[*ANN[:3], *BOB[:1], *ROOM[:4]], [*ANN[3:], *BOB[1:], *ROOM[4:]]],
    "calls that had begun in another one, told later": [[*ANN[3:], *BOB[1:]], [*ANN[:3], *BOB[:1]]],
    "one that is known wholly": [[*ANN, *ROOM], [*ANN, *BOB, *ROOM]],
    "one told again in the same batch": [[*ANN, *BOB, *ANN]],
    "the same name days before": [
        [event.but(event_id=f"old {event.event_id}", at=event.at and event.at - 3 * DAY) for event in BOB],
        [*BOB, *ANN],
    ],
    "a bridge heard before": [[BRIDGED], [*UNCONFIRMED, *BOB]],
    "a bridge heard since": [[*UNCONFIRMED, *BOB], [BRIDGED]],
    "a bridge heard in the batch": [[*UNCONFIRMED, BRIDGED]],
    "no bridge heard": [[*UNCONFIRMED, *BOB]],
    "one that waits": [[*ANN, BOB[0]]],
    "one that has waited too long": [[*ANN, BOB[0].but(at=LATER - LONGEST_WAIT)]],
    "an id that two legs share": [[*ANN, *BOB[:1], BOB[1].but(event_id=ANN[-1].event_id)]],
    "an id with two contents": [[*ANN, *BOB, BOB[0].saying(queue="sales")]],
    "an id with two contents, one of them known": [[*ANN, *BOB], [BOB[0].saying(queue="sales"), *ROOM]],
    "a join with the leg's id alone before the call": [[ALONE], [*BOB, *ANN]],
    "a join with the leg's id alone after the call": [[*BOB, *ANN], [ALONE, *ROOM]],
    "a join with the leg's id alone in the batch": [[*BOB, ALONE]],
    "a join with the leg's id alone that is tied later": [
        [ALONE, *(event.without("call_leg_id") for event in BOB)],
        [BOB[0].but(event_id="a tie", event_type="call.dtmf.received"), *ANN],
    ],
    "one without a time": [[*ANN, *BOB, BOB[0].but(event_id="undated", at=None)]],
}
"""What arrives, batch by batch."""

TABLES = ("events", "contradictions", "log_positions", "undated_events", "bridged_connections", "warehouse")


def landed(batches: list[list[Event]], *, ahead: bool) -> Iterator[Any]:
    """What each batch changed, then all that is told and shown."""
    with opened_warehouse() as warehouse:
        warehouse.landing = Landing(warehouse.db, publishes=True)
        for batch in batches:
            changed = warehouse.land(*batch, ahead=ahead)
            yield replace(changed, facts={table: rows for table, rows in changed.facts.items() if rows})
        assert warehouse.landing.outbox is not None
        yield sorted(warehouse.landing.outbox.pending().changes, key=str)
        yield warehouse.facts()
        yield {table: warehouse.rows(table) for table in TABLES}


@pytest.mark.parametrize("batches", HISTORIES.values(), ids=HISTORIES)
def test_facts_derived_ahead_are_those_that_landing_derives(batches: list[list[Event]]) -> None:
    for foreseen, derived in zip(landed(batches, ahead=True), landed(batches, ahead=False), strict=True):
        assert foreseen == derived


def foreseen(*said: Event, origin: str = "webhook") -> dict[str, int] | None:
    """How many facts of each table are seen in the batch, or None if nobody looked."""
    found = Speculator().read(a_batch(bodies(*said), origin=origin)).speculation
    return None if found is None else {table: len(rows) for table, rows in found.facts.items()}


def test_what_follows_from_the_batch_is_seen_ahead() -> None:
    assert foreseen(*ANN, *BOB, *ROOM) == {
        "calls": 2,
        "queue_visits": 2,
        "conferences": 1,
        "participant_stays": 1,
        "recordings": 1,
    }
    assert foreseen(*ANN, *BOB, *ANN) == foreseen(*ANN, *BOB), "told again or not"


def test_where_a_batch_does_not_say_enough_nothing_is_seen_ahead() -> None:
    assert foreseen(*ANN, ANN[0].but(event_id="undated", at=None)) is None
    assert foreseen(*ANN, ANN[1].saying(queue="sales")) is None, "an id with two contents"
    assert foreseen(*ANN, origin="replay") is None, "not Telnyx's own word"
