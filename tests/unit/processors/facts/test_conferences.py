"""The rules of METRICS for conferences, stays and the floor, one hard case each."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import (
    CONNECTION,
    NOON,
    Warehouse,
    a_conference,
    opened_warehouse,
)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        yield opened


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def stays(warehouse: Warehouse, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in warehouse.dicts("participant_stays")]


def test_a_conference_is_one_row_with_all_that_was_said(warehouse: Warehouse) -> None:
    room = a_conference("room", start=NOON).created().joined("ann", 1).joined("bob", 2).floor("ann", 3)
    warehouse.land(room.left("bob", 10).recorded(4, 9).left("ann", 20).ended(20.5, reason="host_left"))
    row = warehouse.only("conferences")
    assert {name: row[name] for name in row if not name.startswith("entity")} == {
        "conference_id": "room",
        "name": None,
        "region": None,
        "connection_id": CONNECTION,
        "call_session_id": "session-of-host",
        "created_at": NOON,
        "created_at_source": "webhook",
        "ended_at": NOON + seconds(20.5),
        "ended_at_source": "webhook",
        "ended_at_latest": None,
        "duration_ms": 20_500,
        "status": "completed",
        "end_reason": "host_left",
        "end_reason_source": "webhook",
        "ended_by": None,
        "participants": 2,
        "unique_participants": 2,
        "peak_participants": 2,
        "participant_ms": 27_000,
        "floor_changes": 1,
        "recordings": 1,
        "revision": 8,
        "origins": "webhook",
    }


def test_a_conference_that_nobody_ended_is_in_progress(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created())
    row = warehouse.only("conferences")
    assert (row["status"], row["duration_ms"], row["end_reason"], row["peak_participants"]) == (
        "in_progress",
        None,
        None,
        0,
    )


def test_an_end_without_a_reason_has_no_source_for_it(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().ended(9, reason=None))
    row = warehouse.only("conferences")
    assert (row["status"], row["end_reason"], row["end_reason_source"]) == ("completed", None, None)


def test_a_floor_change_before_the_creation_counts(warehouse: Warehouse) -> None:
    room = a_conference().floor("ann", -0.2).created(0).joined("ann", 0.1).left("ann", 10).ended(10)
    warehouse.land(room)
    assert stays(warehouse, "floor_ms", "duration_ms") == [(9_900, 9_900)]
    assert warehouse.only("conferences")["created_at"] == NOON


def test_a_leave_that_arrives_before_its_join_closes_it(warehouse: Warehouse) -> None:
    created, joined, left = a_conference().created().joined("ann", 1).left("ann", 9)
    warehouse.land(left)
    assert stays(warehouse, "joined_at", "left_at", "duration_ms") == [(None, NOON + seconds(9), None)]
    warehouse.land(created, joined)
    assert stays(warehouse, "joined_at", "left_at", "duration_ms") == [(NOON + seconds(1), NOON + seconds(9), 8_000)]


def test_a_rejoin_is_a_stay_but_not_a_new_person(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 1).left("ann", 5).joined("ann", 7).left("ann", 9).ended(9)
    warehouse.land(room)
    row = warehouse.only("conferences")
    assert (row["participants"], row["unique_participants"], row["peak_participants"]) == (2, 1, 1)
    assert row["participant_ms"] == 6_000


def test_who_rejoins_at_the_instant_of_leaving_was_never_there_twice(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 1).left("ann", 5).joined("ann", 5).left("ann", 9)
    warehouse.land(*reversed(list(room)))
    assert stays(warehouse, "duration_ms") == [(4_000,), (4_000,)]
    assert warehouse.only("conferences")["peak_participants"] == 1


def test_a_stay_without_a_leave_ends_with_the_conference(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().joined("ann", 1).ended(9))
    assert stays(warehouse, "left_at", "duration_ms") == [(NOON + seconds(9), 8_000)]


def test_a_stay_in_a_conference_that_goes_on_is_open(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().joined("ann", 1).floor("ann", 2))
    assert stays(warehouse, "left_at", "duration_ms", "floor_ms") == [(None, None, 0)]
    assert warehouse.only("conferences")["peak_participants"] == 1


def test_a_lost_leave_is_not_given_a_time_by_the_rejoin(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().joined("ann", 1).joined("ann", 5).left("ann", 9).ended(10))
    assert stays(warehouse, "joined_at", "left_at", "duration_ms") == [
        (NOON + seconds(1), None, None),
        (NOON + seconds(5), NOON + seconds(9), 4_000),
    ]
    row = warehouse.only("conferences")
    assert (row["peak_participants"], row["unique_participants"], row["participant_ms"]) == (1, 1, 4_000)


def test_who_leaves_is_gone_before_who_joins_at_that_instant(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().joined("ann", 1).left("ann", 5).joined("bob", 5).left("bob", 9))
    assert warehouse.only("conferences")["peak_participants"] == 1


def test_the_floor_is_held_until_the_next_takes_it(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 0).joined("bob", 1).floor("ann", 2).floor("bob", 10).floor("ann", 12)
    warehouse.land(room.left("bob", 19).left("ann", 20).ended(21))
    assert stays(warehouse, "call_leg_id", "floor_ms") == [("ann", 16_000), ("bob", 2_000)]


def test_the_floor_is_lost_with_the_speakers_leave_and_with_the_end(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 0).floor("ann", 2).left("ann", 5).joined("bob", 6).floor("bob", 8)
    warehouse.land(room.ended(10))
    assert stays(warehouse, "call_leg_id", "floor_ms") == [("ann", 3_000), ("bob", 2_000)]


def test_the_floor_counts_for_the_stay_in_which_it_was_taken(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 0).left("ann", 5).joined("ann", 6).floor("ann", 7).left("ann", 9)
    warehouse.land(room.ended(9))
    assert stays(warehouse, "floor_ms") == [(0,), (2_000,)]


def test_the_floor_taken_at_the_instant_of_leaving_is_lost_then(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 0).floor("ann", 5).left("ann", 5).joined("ann", 6).left("ann", 9)
    warehouse.land(room.ended(9))
    assert stays(warehouse, "floor_ms") == [(0,), (0,)]


def test_a_speaker_who_never_joined_holds_no_stay_but_ends_the_one_beforehand(warehouse: Warehouse) -> None:
    room = a_conference().created().joined("ann", 0).floor("ann", 1).floor("ghost", 4).left("ann", 9).ended(9)
    warehouse.land(room)
    assert stays(warehouse, "call_leg_id", "floor_ms") == [("ann", 3_000)]
    assert warehouse.only("conferences")["floor_changes"] == 2


def test_two_conferences_with_the_same_people_are_kept_apart(warehouse: Warehouse) -> None:
    one = a_conference("one").created().joined("ann", 0).floor("ann", 1)
    two = a_conference("two").created().joined("ann", 2).floor("ann", 3).left("ann", 5)
    warehouse.land(one, two)
    assert stays(warehouse, "conference_id", "left_at", "floor_ms") == [
        ("one", None, 0),
        ("two", NOON + seconds(5), 2_000),
    ]


def test_two_stays_told_with_the_same_id_keep_their_own_floors(warehouse: Warehouse) -> None:
    room = a_conference("room").created().joined("ann", 1).floor("ann", 2).left("ann", 10).ended(20)
    hall = a_conference("hall").created().joined("ann", 1).floor("ann", 5).left("ann", 10).ended(20)
    (join,) = (event for event in room if event.event_type == "conference.participant.joined")
    told = [
        event.but(event_id=join.event_id) if event.event_type == join.event_type else event for event in (*room, *hall)
    ]
    warehouse.land(told)
    assert sorted(stays(warehouse, "conference_id", "stay_id", "floor_ms")) == [
        ("hall", join.event_id, 5_000),
        ("room", join.event_id, 8_000),
    ]


def test_a_conference_event_that_names_none_makes_no_conference(warehouse: Warehouse) -> None:
    landed = warehouse.land([event.without("conference_id") for event in a_conference().created().joined("ann", 1)])
    assert landed.events == 2
    assert (warehouse.rows("conferences"), warehouse.rows("participant_stays")) == ([], [])


def test_a_conference_that_ended_before_it_began_has_no_duration(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created(9).ended(1))
    row = warehouse.only("conferences")
    assert (row["status"], row["duration_ms"]) == ("completed", None)


def test_of_two_stays_without_a_join_the_floor_is_of_the_one_that_was_over_first(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().floor("ann", 1).floor("bob", 5).left("ann", 10).left("ann", 20).ended(30))
    assert sorted((stay["left_at"], stay["floor_ms"]) for stay in warehouse.dicts("participant_stays")) == [
        (NOON + timedelta(seconds=10), 4_000),
        (NOON + timedelta(seconds=20), 0),
    ]


def test_a_stay_ends_with_its_conference_also_where_its_leg_joins_again_afterwards(warehouse: Warehouse) -> None:
    warehouse.land(a_conference().created().joined("ann", 1).ended(50).joined("ann", 50.4))
    first = min(warehouse.dicts("participant_stays"), key=lambda stay: stay["joined_at"])
    assert (first["left_at"], first["left_at_source"]) == (NOON + timedelta(seconds=50), "conference")
