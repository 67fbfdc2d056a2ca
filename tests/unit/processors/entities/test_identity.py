"""Whose event it is: ids that are none, one of two ids, one event under two ids, in any order."""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from itertools import islice, permutations

import pytest

from tests.support.builders import (
    LATER,
    NOON,
    Warehouse,
    a_call,
    a_conference,
    opened_warehouse,
)
from tests.support.effort import thinned

DAY = timedelta(days=1)
TALKED = [*a_call().initiated(at=NOON).queued(after=1).answered(after=9).talked(80)]
IDS = ("call_control_id", "call_leg_id", "call_session_id", "connection_id", "conference_id")


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    """An empty one."""
    with opened_warehouse() as opened:
        yield opened


def comparable(warehouse: Warehouse) -> dict[str, list[dict[str, object]]]:
    """All facts, without the columns that serve their storage."""
    return {
        table: sorted(
            ({name: value for name, value in row.items() if name != "entity"} for row in warehouse.dicts(table)),
            key=repr,
        )
        for table in ("calls", "queue_visits", "participant_stays", "conferences")
    }


@pytest.mark.parametrize("name", IDS)
def test_an_empty_text_is_no_id(warehouse: Warehouse, name: str) -> None:
    warehouse.land(*(event.saying(**{name: ""}) for event in TALKED))
    assert {row[name] for row in warehouse.dicts("events")} == {None}


def test_two_legs_of_which_the_leg_id_is_an_empty_text_are_two(warehouse: Warehouse) -> None:
    bob = a_call("bob").initiated(at=NOON).queued(after=2).abandoned(after=30)
    warehouse.land(*(event.saying(call_leg_id="") for event in (*TALKED, *bob)))
    assert sorted(visit["outcome"] for visit in warehouse.dicts("queue_visits")) == ["abandoned", "answered"]
    assert len(warehouse.dicts("calls")) == 2


@cache
def comparable_of_the_whole() -> dict[str, list[dict[str, object]]]:
    """The facts of the call of which nothing is lost."""
    with opened_warehouse() as whole:
        whole.land(*TALKED)
        return comparable(whole)


@pytest.mark.parametrize("lost", ["call_leg_id", "call_control_id"])
@pytest.mark.parametrize("place", range(len(TALKED)))
def test_an_event_that_carries_one_of_the_two_ids_is_of_the_leg_that_another_ties_it_to(lost: str, place: int) -> None:
    said = [event.saying(**{lost: None}) if nth == place else event for nth, event in enumerate(TALKED)]
    wanted = comparable_of_the_whole()
    orders = (said, said[::-1], said[2:] + said[:2], [said[place], *said[:place], *said[place + 1 :]])
    for order in thinned(orders, 2, first=place % 2):
        with opened_warehouse() as warehouse:
            for event in order:
                warehouse.land(event)
            assert comparable(warehouse) == wanted
            warehouse.rebuild()
            assert comparable(warehouse) == wanted


@pytest.mark.parametrize("ahead", [False, True])
def test_an_event_is_stored_as_one_of_its_leg_whether_or_not_its_batch_was_read_ahead(
    warehouse: Warehouse, ahead: bool
) -> None:
    initiated, enqueued, *others = TALKED
    warehouse.land(initiated, enqueued.saying(call_control_id=None), *others, ahead=ahead)
    before = warehouse.facts()
    assert {row["entity"] for row in warehouse.dicts("stored_events")} == {"v3:ann"}
    warehouse.rebuild()
    assert warehouse.facts() == before


def test_where_nothing_ties_them_two_ids_stand_for_two_legs(warehouse: Warehouse) -> None:
    enqueued, dequeued = a_call().queued(at=NOON).timed_out(after=60)
    warehouse.land(enqueued.saying(call_leg_id=None), dequeued.saying(call_control_id=None))
    assert len(warehouse.dicts("queue_visits")) == 2


def test_an_event_of_a_type_without_facts_ties_two_ids_too(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON).told("call.dtmf.received", after=5, digit="1").timed_out(after=60)
    enqueued, digit, dequeued = call
    for event in (enqueued.saying(call_leg_id=None), dequeued.saying(call_control_id=None), digit):
        warehouse.land(event)
    assert warehouse.only("queue_visits")["wait_ms"] == 65_000


@pytest.mark.parametrize(("days", "visits"), [(20, 1), (40, 2)])
def test_a_tie_counts_within_a_month(warehouse: Warehouse, days: int, visits: int) -> None:
    initiated, enqueued = a_call().initiated(at=NOON).queued(after=60)
    dequeued = a_call().queued(at=NOON).timed_out(after=days * DAY.total_seconds()).events[1]
    warehouse.land(initiated, enqueued, now=NOON + 50 * DAY)
    warehouse.land(dequeued.saying(call_control_id=None, wait_time_secs=5), now=NOON + 50 * DAY)
    assert len(warehouse.dicts("queue_visits")) == visits


def test_participants_are_counted_by_their_leg_whichever_id_an_event_carries(warehouse: Warehouse) -> None:
    room = [*a_conference().created().joined("ann", 1).floor("ann", 2).left("ann", 60).joined("ann", 70).ended(90)]
    said = [
        event.without("call_leg_id") if nth == 3 else event.saying(call_control_id="") if nth == 2 else event
        for nth, event in enumerate(room)
    ]
    warehouse.land(*said)
    conference = warehouse.only("conferences")
    assert (conference["unique_participants"], conference["participants"]) == (1, 2)
    assert sorted((stay["duration_ms"], stay["floor_ms"]) for stay in warehouse.dicts("participant_stays")) == [
        (20_000, 0),
        (59_000, 58_000),
    ]


def test_one_event_that_is_told_with_two_ids_counts_once_and_is_counted_as_such() -> None:
    call = [*a_call().queued(at=NOON).answered(after=41)]
    twin = call[0].but(event_id="another")
    room = [*a_conference().created().joined("bob", 1).ended(9)]
    twins = [twin, room[1].but(event_id="yet another")]
    with opened_warehouse() as warehouse:
        warehouse.land(*call, *room)
        wanted = comparable(warehouse)
    for order in ([*call, *twins, *room], [*twins, *call, *room], [*room, *call, *twins][::-1]):
        for batches in ([order], [[event] for event in order]):
            with opened_warehouse() as warehouse:
                for batch in batches:
                    warehouse.land(*batch)
                found = comparable(warehouse)
                assert [[row.get("wait_ms"), row["outcome"]] for row in found["queue_visits"]] == [[41_000, "answered"]]
                assert [len(rows) for rows in found.values()] == [len(rows) for rows in wanted.values()]
                assert [row["revision"] for row in found["conferences"]] == [3]
                told = sorted(row["event_id"] for row in warehouse.dicts("told_twice"))
                assert told == [max(call[0].event_id, "another"), "yet another"]
                assert len(warehouse.dicts("events")) == len(call) + len(room)


def test_of_one_event_with_two_ids_the_id_that_comes_first_counts(warehouse: Warehouse) -> None:
    enqueued = a_call().queued(at=NOON).events[0]
    for event_id in ("c", "a", "b"):
        warehouse.land(enqueued.but(event_id=event_id))
    assert warehouse.only("queue_visits")["visit_id"] == "a"
    assert sorted(row["event_id"] for row in warehouse.dicts("told_twice")) == ["b", "c"]


def test_events_that_differ_in_anything_that_facts_rest_on_are_two(warehouse: Warehouse) -> None:
    enqueued = a_call().queued(at=NOON).events[0]
    warehouse.land(enqueued, enqueued.but(event_id="another").saying(current_position=2))
    assert len(warehouse.dicts("queue_visits")) == 2
    assert warehouse.dicts("told_twice") == []


def test_a_leg_that_joined_a_conference_waits_no_more() -> None:
    call = a_call().initiated(at=NOON).queued(after=0).hung_up(after=600)
    room = a_conference().created().joined("ann", 30).left("ann", 590)
    for order in thinned(permutations((call.events[1], call.events[2], room.events[1])), 2):
        with opened_warehouse() as warehouse:
            for event in order:
                warehouse.land(event)
            visit = warehouse.only("queue_visits")
            assert (visit["outcome"], visit["wait_ms"], visit["left_at"]) == ("unknown", None, None)
            assert visit["left_at_latest"] == NOON + timedelta(seconds=30)
            before = warehouse.facts()
            warehouse.rebuild()
            assert warehouse.facts() == before


def test_a_join_before_the_visit_or_after_its_end_says_nothing_of_it(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON).timed_out(after=20)
    room = a_conference().created(-99).joined("ann", -90).left("ann", -5).joined("ann", 25)
    warehouse.land(room, call, now=LATER)
    assert warehouse.only("queue_visits")["outcome"] == "timed_out"


def test_an_event_that_moves_from_one_leg_to_another_takes_nothing_of_the_first_with_it() -> None:
    answered = a_call().picked_up(after=120).events[0].saying(call_control_id="v3:second")
    bill = a_call().told("call.cost", after=0, status="success", total_cost="0.1").events[0]
    bill = bill.but(event_id="bill").saying(call_control_id=None)
    before = answered.but(event_id="before", at=NOON + timedelta(seconds=110)).saying(call_control_id="v3:first")
    for order in thinned(permutations((answered, bill, before)), 2):
        with opened_warehouse() as warehouse:
            for event in order:
                warehouse.land(event)
            calls = sorted((row["call_control_id"], row["status"], row["revision"]) for row in warehouse.dicts("calls"))
            assert calls == [("v3:first", "ended", 2), ("v3:second", "in_progress", 1)]


def test_a_join_that_carries_the_legs_id_alone_leaves_no_fact_twice(warehouse: Warehouse) -> None:
    joined = a_conference().created().joined("ann", 0).events[1].without("call_control_id")
    enqueued = a_call().queued(at=NOON + timedelta(seconds=13)).events[0].without("call_control_id")
    warehouse.land(joined, enqueued)
    warehouse.land(a_call().hung_up(after=60).events[0].but(event_id="hangup"))
    assert warehouse.only("queue_visits")["wait_ms"] == 47_000


WAITED = [*a_call().initiated(at=NOON).queued(after=0).hung_up(after=540)]
JOINED_ALONE = a_conference().created().joined("ann", 60).events[1].without("call_control_id")
"""The join of a leg that waits, with its leg's id alone."""


def outcomes(warehouse: Warehouse) -> list[tuple[object, ...]]:
    """What became of each visit, and by when it was over."""
    names = ("call_control_id", "outcome", "wait_ms", "left_at", "left_at_latest")
    return [tuple(visit[name] for name in names) for visit in warehouse.dicts("queue_visits")]


def rebuilt(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """The facts, which are the same after a rebuild."""
    before = warehouse.facts()
    warehouse.rebuild()
    assert warehouse.facts() == before
    return before


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1), (1, 2), (3,)])
def test_a_join_that_carries_the_legs_id_alone_ends_the_visit_of_the_leg_it_is_tied_to(
    sizes: tuple[int, ...], ahead: bool
) -> None:
    _, enqueued, hangup = WAITED
    unknown = [("v3:ann", "unknown", None, None, NOON + timedelta(seconds=60))]
    for order in permutations((enqueued, JOINED_ALONE, hangup)):
        with opened_warehouse() as warehouse:
            left = iter(order)
            for size in sizes:
                warehouse.land(*islice(left, size), ahead=ahead)
            assert outcomes(warehouse) == unknown, order
            first = rebuilt(warehouse)
            warehouse.land(*order, ahead=ahead)
            assert warehouse.facts() == first
            assert {row["entity"] for row in warehouse.dicts("participant_joins")} == {"v3:ann"}
            assert warehouse.only("participant_stays")["conference_id"] == JOINED_ALONE.payload["conference_id"]


def test_a_tie_that_comes_last_finds_the_join_whatever_it_is_that_ties() -> None:
    enqueued, digit, hangup = a_call().queued(at=NOON).told("call.dtmf.received", after=5, digit="1").hung_up(after=535)
    said = (enqueued.without("call_leg_id"), hangup.without("call_leg_id"), JOINED_ALONE)
    for order in permutations(said):
        with opened_warehouse() as warehouse:
            for event in order:
                warehouse.land(event)
            assert [outcome for _, outcome, *_ in outcomes(warehouse)] == ["abandoned"]
            warehouse.land(digit, ahead=True)
            assert outcomes(warehouse) == [("v3:ann", "unknown", None, None, NOON + timedelta(seconds=60))]
            rebuilt(warehouse)


def test_where_nothing_ties_them_a_join_and_a_visit_with_the_legs_id_alone_are_of_one_leg() -> None:
    _, enqueued, hangup = (event.without("call_control_id") for event in WAITED)
    for order in permutations((enqueued, JOINED_ALONE, hangup)):
        for batches in ([order], [[event] for event in order]):
            with opened_warehouse() as warehouse:
                for batch in batches:
                    warehouse.land(*batch)
                assert outcomes(warehouse) == [(None, "unknown", None, None, NOON + timedelta(seconds=60))]
                rebuilt(warehouse)


@pytest.mark.parametrize(("days", "outcome"), [(20, "unknown"), (40, "abandoned")])
def test_a_join_is_tied_within_a_month(warehouse: Warehouse, days: int, outcome: str) -> None:
    enqueued, digit, hangup = a_call().queued(at=NOON).told("call.dtmf.received", after=5, digit="1").hung_up(after=535)
    digit = digit.but(at=NOON - days * DAY)
    for event in (digit, enqueued.without("call_leg_id"), hangup.without("call_leg_id"), JOINED_ALONE):
        warehouse.land(event)
    assert [found for _, found, *_ in outcomes(warehouse)] == [outcome]
    rebuilt(warehouse)


def test_a_join_moves_to_the_leg_that_a_nearer_tie_names() -> None:
    waited = [event.without("call_leg_id") for event in WAITED[1:]]
    others = [event.but(event_id=f"other {event.event_id}").saying(call_control_id="v3:other") for event in waited]
    digit = a_call().told("call.dtmf.received", after=0, digit="1").events[0]
    far = digit.but(event_id="far", at=NOON - 9 * DAY).saying(call_control_id="v3:other")
    for order in permutations((JOINED_ALONE, far, digit)):
        with opened_warehouse() as warehouse:
            warehouse.land(*waited, *others)
            for event in order:
                warehouse.land(event)
            found = [(control_id, outcome) for control_id, outcome, *_ in outcomes(warehouse)]
            assert sorted(found, key=str) == [("v3:ann", "unknown"), ("v3:other", "abandoned")]
            rebuilt(warehouse)


@pytest.mark.parametrize("lost", [(), ("call_control_id",)])
def test_a_join_that_comes_in_a_better_way_later_says_so_of_the_legs_visit(
    warehouse: Warehouse, lost: tuple[str, ...]
) -> None:
    joined = a_conference().created().joined("ann", 60).events[1].without(*lost)
    warehouse.land(*WAITED)
    warehouse.land_bodies([joined.body()], origin="reconciler")
    assert warehouse.only("queue_visits")["origins"] == "reconciler,webhook"
    warehouse.land(joined)
    assert warehouse.only("queue_visits")["origins"] == "webhook"
    rebuilt(warehouse)
