"""The cases that are easily got wrong, each told at once or one by one, in order or backwards, read ahead or not."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.builders import (
    NOON,
    SHAPES,
    Event,
    Shape,
    Warehouse,
    a_call,
    a_conference,
    opened_warehouse,
)
from tests.support.effort import EVERY_DAY

NEW_YORK = ZoneInfo("America/New_York")
YEAR = timedelta(days=365)

Tell = Callable[..., Warehouse]


ALL_WAYS = ("in order", "in order, ahead", "backwards", "backwards, one by one", "backwards, one by one, ahead")
WAYS = ("in order, ahead", "backwards, one by one") if EVERY_DAY else ALL_WAYS
"""Every day two that differ in everything: that no other matters is for the laws to say."""


@pytest.fixture(params=WAYS)
def tell(request: pytest.FixtureRequest) -> Iterator[Tell]:
    """Lands what is told, in one of the ways, and returns the warehouse."""
    with opened_warehouse() as warehouse:

        def land(*said: Iterable[Event], **when: Any) -> Warehouse:
            events = [event for words in said for event in words]
            if "backwards" in request.param:
                events.reverse()
            for batch in [[event] for event in events] if "one by one" in request.param else [events]:
                warehouse.land(batch, ahead="ahead" in request.param, **when)
            return warehouse

        yield land


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def told(warehouse: Warehouse, table: str, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in warehouse.dicts(table)]


# queue visits


def test_a_call_enqueued_again_at_the_instant_of_its_dequeue(tell: Tell) -> None:
    warehouse = tell(a_call().queued(at=NOON).dequeued("bridging-in-process", after=15).queued().abandoned(after=5))
    assert told(warehouse, "queue_visits", "enqueued_at", "wait_ms", "reason") == [
        (NOON, 15_000, "bridging-in-process"),
        (NOON + seconds(15), 5_000, "hangup"),
    ]


def test_a_wait_of_zero(tell: Tell) -> None:
    warehouse = tell(a_call().queued(at=NOON).answered(after=0))
    assert told(warehouse, "queue_visits", "outcome", "wait_ms", "answer_confirmed") == [("answered", 0, True)]


def test_a_lost_dequeue(tell: Tell) -> None:
    call = a_call().queued(at=NOON).dequeued("timeout", after=30).but_never("call.dequeued")
    warehouse = tell(call.queued(after=10).abandoned(after=5))
    assert told(warehouse, "queue_visits", "outcome", "left_at", "wait_ms") == [
        ("unknown", None, None),
        ("abandoned", NOON + seconds(45), 5_000),
    ]


def test_a_lost_enqueue(tell: Tell) -> None:
    warehouse = tell(a_call().queued(at=NOON).answered(after=41).but_never("call.enqueued"))
    assert told(warehouse, "queue_visits", "outcome", "enqueued_at", "enqueued_at_source", "wait_ms") == [
        ("answered", NOON, "reported", 41_000)
    ]


def test_a_call_kept_in_its_queue_after_the_hangup(tell: Tell) -> None:
    call = a_call().queued(at=NOON).hung_up(after=20).dequeued("leave", after=40)
    assert told(tell(call), "queue_visits", "outcome", "wait_ms", "in_queue_ms", "reason") == [
        ("abandoned", 20_000, 60_000, "leave")
    ]


def test_bridging_in_process_with_a_bridge(tell: Tell) -> None:
    warehouse = tell(a_call().queued(at=NOON).answered(after=41, ringing=6).talked(60))
    assert told(warehouse, "queue_visits", "outcome", "wait_ms", "answer_confirmed") == [("answered", 35_000, True)]


def test_bridging_in_process_without_a_bridge(tell: Tell) -> None:
    bridged = a_call("bob").queued(at=NOON).answered(after=1)
    warehouse = tell(
        a_call("ann").queued(at=NOON + seconds(1)).dequeued("bridging-in-process", after=9).hung_up(), bridged
    )
    assert told(warehouse, "queue_visits", "call_leg_id", "outcome", "answer_confirmed") == [
        ("bob", "answered", True),
        ("ann", "failed_bridge", False),
    ]


# time


@pytest.mark.parametrize(
    ("enqueued", "waited"),
    [
        (datetime(2026, 3, 8, 1, 59, 50, tzinfo=NEW_YORK), 20),  # at two it is three
        (datetime(2026, 11, 1, 1, 59, 50, tzinfo=NEW_YORK), 20),  # at two it is one again
        (datetime(2026, 11, 1, 0, 59, 50, tzinfo=NEW_YORK), 3620),
    ],
)
def test_a_visit_that_spans_a_change_of_the_clocks(tell: Tell, enqueued: datetime, waited: int) -> None:
    warehouse = tell(a_call().queued(at=enqueued.astimezone(UTC)).abandoned(after=waited))
    assert told(warehouse, "queue_visits", "enqueued_at", "wait_ms", "in_queue_ms") == [
        (enqueued.astimezone(UTC), waited * 1000, waited * 1000)
    ]


@pytest.mark.parametrize("midnight", [datetime(2026, 2, 4, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])
def test_a_visit_that_spans_midnight_or_a_years_end(tell: Tell, midnight: datetime) -> None:
    warehouse = tell(a_call().queued(at=midnight - seconds(7.5)).answered(after=20).talked(90))
    assert told(warehouse, "queue_visits", "outcome", "left_at", "wait_ms") == [
        ("answered", midnight + seconds(12.5), 20_000)
    ]
    assert told(warehouse, "calls", "ended_at", "talk_ms") == [(midnight + seconds(102.5), 90_000)]


@pytest.mark.parametrize("away", [-YEAR, YEAR], ids=["a year old", "from the future"])
def test_events_of_another_year(tell: Tell, away: timedelta) -> None:
    at = NOON + away
    room = a_conference(start=at).created().joined("ann", 1).recorded(1, 4).heard(2, 3).left("ann", 5).ended(5)
    warehouse = tell(a_call().initiated(at=at).queued(after=1).answered(after=41).talked(60), room)
    tell(a_call("bob").queued(at=NOON).abandoned(after=5))
    assert told(warehouse, "queue_visits", "outcome", "wait_ms").count(("answered", 41_000)) == 1
    assert told(warehouse, "queue_visits", "outcome", "wait_ms").count(("abandoned", 5_000)) == 1
    assert ("session-of-ann", 60_000, "ended") in told(warehouse, "calls", "call_session_id", "talk_ms", "status")
    assert told(warehouse, "conferences", "created_at", "duration_ms", "recordings") == [(at, 5_000, 1)]
    assert told(warehouse, "recordings", "duration_ms") == [(3_000,)]
    assert told(warehouse, "playbacks", "duration_ms") == [(1_000,)]
    before = warehouse.facts()
    warehouse.rebuild()
    assert warehouse.facts() == before


def test_a_visit_of_last_year_that_nobody_ended_is_unknown_and_one_of_next_year_waits(tell: Tell) -> None:
    warehouse = tell(a_call("old").queued(at=NOON - YEAR), a_call("new").queued(at=NOON + YEAR), now=NOON)
    assert told(warehouse, "queue_visits", "call_leg_id", "outcome") == [("old", "unknown"), ("new", "waiting")]


# conferences


def test_a_floor_change_before_the_conferences_creation(tell: Tell) -> None:
    room = a_conference().floor("ann", -0.02).created(0).joined("ann", 0.1).floor("bob", 4).joined("bob", 3)
    warehouse = tell(room.left("bob", 9).left("ann", 10).ended(10))
    assert told(warehouse, "participant_stays", "call_leg_id", "floor_ms") == [("ann", 3_900), ("bob", 5_000)]
    assert told(warehouse, "conferences", "created_at", "floor_changes") == [(NOON, 2)]


def test_a_participants_leave_before_their_join(tell: Tell) -> None:
    warehouse = tell(a_conference().created().left("ann", 1).joined("ann", 2).ended(9))
    assert told(warehouse, "participant_stays", "joined_at", "left_at", "duration_ms") == [
        (NOON + seconds(2), NOON + seconds(9), 7_000),
        (None, NOON + seconds(1), None),
    ]


def test_a_rejoin(tell: Tell) -> None:
    room = a_conference().created().joined("ann", 1).left("ann", 5).joined("ann", 5).left("ann", 9).ended(9)
    warehouse = tell(room)
    assert told(warehouse, "participant_stays", "duration_ms") == [(4_000,), (4_000,)]
    assert told(warehouse, "conferences", "participants", "unique_participants", "peak_participants") == [(2, 1, 1)]


def test_a_conference_ended_by_the_api(tell: Tell) -> None:
    """What the webhook says then is not documented: nothing, or a word of which nobody has heard."""
    one = a_conference("one").created().joined("ann", 1).ended(9, reason=None)
    two = a_conference("two").created(1).joined("bob", 1).ended(9, reason="ended_via_api")
    warehouse = tell(one, two)
    assert told(warehouse, "conferences", "status", "end_reason", "end_reason_source", "duration_ms") == [
        ("completed", None, None, 9_000),
        ("completed", "ended_via_api", "webhook", 8_000),
    ]
    assert told(warehouse, "participant_stays", "left_at") == [(NOON + seconds(9),), (NOON + seconds(9),)]


def test_a_stay_that_is_never_closed(tell: Tell) -> None:
    warehouse = tell(a_conference().created().joined("ann", 1).joined("bob", 2).left("bob", 5), now=NOON + YEAR)
    assert told(warehouse, "participant_stays", "call_leg_id", "left_at", "duration_ms") == [
        ("ann", None, None),
        ("bob", NOON + seconds(5), 3_000),
    ]
    assert told(warehouse, "conferences", "status", "participant_ms", "peak_participants") == [
        ("in_progress", 3_000, 2)
    ]


def test_two_conferences_of_one_session(tell: Tell) -> None:
    one = a_conference("one").created().joined("host", 1).floor("host", 2).left("host", 5).ended(5)
    two = a_conference("two").created(3).joined("host", 4).floor("host", 4).left("host", 9).ended(9, reason="host_left")
    warehouse = tell(one, two)
    assert told(warehouse, "conferences", "conference_id", "call_session_id", "participant_ms", "end_reason") == [
        ("one", "session-of-host", 4_000, "all_left"),
        ("two", "session-of-host", 5_000, "host_left"),
    ]
    assert told(warehouse, "participant_stays", "conference_id", "floor_ms") == [("one", 3_000), ("two", 5_000)]


# shapes


def everything() -> list[Event]:
    """Something of every kind."""
    call = a_call().initiated(at=NOON).picked_up(after=1).queued(after=1).answered(after=9).held(5, after=10).talked(60)
    call.told("call.cost", after=3, total_cost="0.01").told("call.recording.saved", after=1, channels="single")
    room = a_conference().floor("ann", -1).created().joined("ann", 1).heard(1, 2, media="https://example.com/a.mp3")
    return [*call, *room.heard(1, 3, leg="ann").left("ann", 9).ended(9)]


@pytest.mark.parametrize("tell", ["backwards"] if EVERY_DAY else ALL_WAYS, indirect=True)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_fact_is_the_same_in_every_envelope(tell: Tell, shape: Shape) -> None:
    with opened_warehouse() as plain:
        plain.land(everything())
        expected = plain.facts()
    assert {table for table, rows in expected.items() if rows} == {
        *("calls", "queue_visits", "conferences", "participant_stays", "recordings", "playbacks")
    }
    assert tell([event.but(shape=shape) for event in everything()]).facts() == expected


def test_every_fact_is_the_same_with_its_times_in_the_other_place(tell: Tell) -> None:
    with opened_warehouse() as plain:
        plain.land(everything())
        expected = plain.facts()
    assert tell([event.but(misplaced=True, shape="wrapped") for event in everything()]).facts() == expected


def test_an_id_that_names_both_a_leg_and_a_conference_mixes_nothing(tell: Tell) -> None:
    call = a_call("same").initiated(at=NOON).queued(after=1).abandoned(after=5)
    room = [
        event.but(event_id=f"room {event.event_id}") for event in a_conference("v3:same").created().joined("ann", 1)
    ]
    warehouse = tell(call, room)
    assert told(warehouse, "calls", "call_leg_id", "status", "revision") == [("same", "ended", 6)]
    assert told(warehouse, "conferences", "conference_id", "participants", "revision") == [("v3:same", 1, 6)]
    assert told(warehouse, "queue_visits", "outcome", "wait_ms") == [("abandoned", 5_000)]
