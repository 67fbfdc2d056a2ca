"""The rules of METRICS for queue visits, one hard case each."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import (
    CONNECTION,
    NOON,
    Warehouse,
    a_call,
    opened_warehouse,
)

DAY = timedelta(hours=24)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        yield opened


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def picked(row: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def test_an_answered_call_is_a_visit_with_all_that_was_said(warehouse: Warehouse) -> None:
    warehouse.land(a_call("ann").queued(at=NOON, queue="support", position=3).answered(after=41.5).talked(300))
    visit = warehouse.only("queue_visits")
    assert {name: visit[name] for name in visit if not name.startswith("entity")} == {
        "visit_id": "ann-00",
        "call_control_id": "v3:ann",
        "call_leg_id": "ann",
        "call_session_id": "session-of-ann",
        "connection_id": CONNECTION,
        "queue": "support",
        "from_number": "+12025550133",
        "to_number": "+12025550131",
        "enqueued_at": NOON,
        "enqueued_at_source": "observed",
        "left_at": NOON + seconds(41.5),
        "left_at_latest": None,
        "seen_waiting_at": None,
        "wait_ms": 41_500,
        "in_queue_ms": 41_500,
        "reported_wait_secs": 41,
        "reason": "bridged",
        "outcome": "answered",
        "answer_confirmed": True,
        "position_in": 3,
        "position_out": 1,
        "revision": 4,
        "origins": "webhook",
    }


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("bridged", "answered"),
        ("bridging-in-process", "answered"),
        ("hangup", "abandoned"),
        ("timeout", "timed_out"),
        ("leave", "left"),
        ("beamed-up", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_reason_from_telnyx_is_an_outcome(warehouse: Warehouse, reason: str | None, outcome: str) -> None:
    warehouse.land(a_call().queued(at=NOON).dequeued(reason, after=41))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "reason", "outcome", "wait_ms") == (reason, outcome, 41_000)


def test_a_leg_put_back_at_the_instant_it_was_taken_out_has_two_visits(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON).dequeued("bridging-in-process", after=10).queued(after=0).answered(after=5)
    warehouse.land(*reversed(list(call)))
    first, second = warehouse.dicts("queue_visits")
    assert picked(first, "enqueued_at", "left_at", "wait_ms") == (NOON, NOON + seconds(10), 10_000)
    assert picked(second, "enqueued_at", "left_at", "wait_ms") == (NOON + seconds(10), NOON + seconds(15), 5_000)


def test_a_visit_may_open_and_close_at_one_instant(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).answered(after=0))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "wait_ms", "in_queue_ms", "enqueued_at") == ("answered", 0, 0, NOON)


def test_visits_to_two_queues_at_a_time_are_kept_apart(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON, queue="sales").timed_out(after=30).queued(after=0, queue="support")
    warehouse.land(call.abandoned(after=12))
    rows = [picked(visit, "queue", "outcome", "wait_ms") for visit in warehouse.dicts("queue_visits")]
    assert rows == [("sales", "timed_out", 30_000), ("support", "abandoned", 12_000)]


def test_an_enqueue_while_a_visit_is_open_ends_it_as_unknown(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).queued(after=60).answered(after=5).talked(10))
    lost, answered = warehouse.dicts("queue_visits")
    assert picked(lost, "outcome", "left_at", "wait_ms", "in_queue_ms", "reason") == ("unknown", None, None, None, None)
    assert picked(answered, "outcome", "wait_ms") == ("answered", 5_000)


def test_a_dequeue_whose_enqueue_never_came_says_itself_how_long_it_was(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).answered(after=41.7).but_never("call.enqueued"))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "enqueued_at", "enqueued_at_source", "wait_ms", "reported_wait_secs", "outcome") == (
        NOON + seconds(0.7),  # Telnyx tells whole seconds
        "reported",
        41_000,
        41,
        "answered",
    )
    assert visit["answer_confirmed"] is True


def test_a_dequeue_that_says_nothing_of_a_wait_is_given_no_time(warehouse: Warehouse) -> None:
    _, dequeued = a_call().queued(at=NOON).dequeued("timeout", after=41)
    warehouse.land(dequeued.without("wait_time_secs"))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "enqueued_at", "enqueued_at_source", "wait_ms", "outcome") == (None, None, None, "timed_out")
    assert visit["left_at"] == NOON + seconds(41)


def test_the_enqueue_that_comes_late_takes_the_place_of_what_was_reported(warehouse: Warehouse) -> None:
    enqueued, dequeued = a_call().queued(at=NOON).dequeued("timeout", after=41.7)
    warehouse.land(dequeued)
    warehouse.land(enqueued)
    visit = warehouse.only("queue_visits")
    assert picked(visit, "enqueued_at_source", "wait_ms", "reported_wait_secs") == ("observed", 41_700, 41)


def test_a_caller_who_hangs_up_but_is_kept_stopped_waiting_then(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).hung_up(after=30).dequeued("bridged", after=60))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "wait_ms", "in_queue_ms", "left_at") == (
        "abandoned",
        30_000,
        90_000,
        NOON + seconds(90),
    )


def test_a_hangup_at_the_instant_of_the_dequeue_came_after_it(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).dequeued("bridged", after=30).hung_up())
    assert warehouse.only("queue_visits")["outcome"] == "answered"


def test_an_enqueue_whose_dequeue_never_came_waits_until_the_hangup(warehouse: Warehouse) -> None:
    call = list(a_call().queued(at=NOON).hung_up(after=30))
    warehouse.land(call[0])
    waiting = warehouse.only("queue_visits")
    assert picked(waiting, "outcome", "left_at", "wait_ms") == ("waiting", None, None)
    warehouse.land(call[1])
    abandoned = warehouse.only("queue_visits")
    assert picked(abandoned, "outcome", "left_at", "wait_ms", "in_queue_ms") == (
        "abandoned",
        NOON + seconds(30),
        30_000,
        30_000,
    )


def test_the_hangup_of_another_leg_ends_nothing(warehouse: Warehouse) -> None:
    warehouse.land(a_call("ann", session="s").queued(at=NOON), a_call("bob", session="s", at=NOON).hung_up(after=5))
    assert warehouse.only("queue_visits")["outcome"] == "waiting"


def test_a_hangup_before_the_visit_began_is_of_another_time(warehouse: Warehouse) -> None:
    warehouse.land(a_call(at=NOON).hung_up().queued(after=5))
    assert warehouse.only("queue_visits")["outcome"] == "waiting"


def test_a_visit_that_waits_for_a_day_is_unknown_and_not_an_instant_earlier(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON), now=NOON + DAY - timedelta(microseconds=1))
    assert warehouse.only("queue_visits")["outcome"] == "waiting"
    warehouse.land(now=NOON + DAY)
    assert warehouse.only("queue_visits")["outcome"] == "unknown"


def test_bridging_in_process_is_an_answer_that_a_bridge_confirms(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).answered(after=41, ringing=3).talked(60))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "answer_confirmed", "wait_ms") == ("answered", True, 38_000)


def test_bridging_in_process_without_a_bridge_is_an_answer_where_no_bridge_was_ever_heard(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).dequeued("bridging-in-process", after=41).hung_up(after=9))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "answer_confirmed") == ("answered", False)


def test_bridging_in_process_without_a_bridge_failed_where_bridges_are_heard(warehouse: Warehouse) -> None:
    warehouse.land(a_call("ann").queued(at=NOON).dequeued("bridging-in-process", after=41).hung_up(after=9))
    far = NOON + 30 * DAY
    warehouse.land(a_call("bob").queued(at=far).answered(after=1))
    visit = warehouse.dicts("queue_visits")[0]
    assert picked(visit, "outcome", "answer_confirmed") == ("failed_bridge", False)
    warehouse.rebuild()
    assert warehouse.dicts("queue_visits")[0] == visit


def test_a_bridge_on_another_connection_says_nothing(warehouse: Warehouse) -> None:
    warehouse.land(a_call("ann").queued(at=NOON).dequeued("bridging-in-process", after=41).hung_up(after=9))
    warehouse.land(a_call("bob", connection="another").queued(at=NOON).answered(after=1))
    assert [visit["outcome"] for visit in warehouse.dicts("queue_visits")] == ["answered", "answered"]


def test_bridging_in_process_has_not_failed_while_the_leg_lives(warehouse: Warehouse) -> None:
    warehouse.land(a_call("bob").queued(at=NOON).answered(after=1))
    warehouse.land(a_call("ann").queued(at=NOON + DAY).dequeued("bridging-in-process", after=41))
    assert warehouse.dicts("queue_visits")[1]["outcome"] == "answered"


def test_a_bridge_after_the_next_enqueue_confirms_the_later_visit_only(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON).dequeued("bridging-in-process", after=10).queued(after=15).answered(after=5)
    warehouse.land(call.talked(60))
    visits = [picked(visit, "outcome", "answer_confirmed") for visit in warehouse.dicts("queue_visits")]
    assert visits == [("failed_bridge", False), ("answered", True)]


def test_a_bridge_at_the_instant_of_the_next_enqueue_belongs_to_the_later_visit(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON).dequeued("bridging-in-process", after=10).queued(after=15).bridged()
    warehouse.land(call.dequeued("bridged", after=0))
    assert [visit["answer_confirmed"] for visit in warehouse.dicts("queue_visits")] == [False, True]


def test_a_bridge_before_the_dequeue_confirms_the_visit(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).bridged(after=40).dequeued("bridged", after=1))
    assert warehouse.only("queue_visits")["answer_confirmed"] is True


def test_an_enqueue_repeated_at_its_instant_takes_no_bridge_from_the_visit_that_was_answered(
    warehouse: Warehouse,
) -> None:
    first, second, *rest = a_call().queued(at=NOON).queued(after=0).answered(after=41, ringing=3).talked(60)
    warehouse.land(first, second.saying(current_position=2), *rest)
    visits = {
        visit["visit_id"]: picked(visit, "outcome", "answer_confirmed") for visit in warehouse.dicts("queue_visits")
    }
    assert visits == {"ann-00": ("unknown", None), "ann-01": ("answered", True)}


def test_a_wait_is_between_instants_cut_to_the_millisecond(warehouse: Warehouse) -> None:
    begun = NOON + timedelta(microseconds=999)
    warehouse.land(a_call().queued(at=begun).dequeued("timeout", after=0.000_002))
    assert warehouse.only("queue_visits")["wait_ms"] == 1


def test_a_name_used_again_after_more_than_a_day_is_another_leg(warehouse: Warehouse) -> None:
    late = NOON + DAY + timedelta(microseconds=1)
    call = a_call().queued(at=NOON).queued(at=late).abandoned(after=5)
    warehouse.land(call, now=NOON + 3 * DAY)
    assert [visit["outcome"] for visit in warehouse.dicts("queue_visits")] == ["unknown", "abandoned"]
    assert warehouse.dicts("queue_visits")[0]["entity_since"] == NOON


def test_a_leg_that_is_not_named_is_known_by_its_control_id(warehouse: Warehouse) -> None:
    call = [event.without("call_leg_id") for event in a_call().queued(at=NOON).abandoned(after=5)]
    warehouse.land(call)
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "wait_ms", "call_leg_id", "call_control_id") == ("abandoned", 5_000, None, "v3:ann")


def test_events_that_name_no_leg_are_not_taken_for_one(warehouse: Warehouse) -> None:
    call = [event.without("call_leg_id", "call_control_id") for event in a_call().queued(at=NOON).abandoned(after=5)]
    warehouse.land(call)
    assert [visit["outcome"] for visit in warehouse.dicts("queue_visits")] == ["waiting", "abandoned"]


def test_an_event_that_says_nothing_of_a_visit_changes_nothing_of_it_but_its_revision(warehouse: Warehouse) -> None:
    *before, hung_up = a_call().initiated(at=NOON).queued().dequeued("timeout", after=5).hung_up(after=600)
    warehouse.land(before)
    known = warehouse.only("queue_visits")
    warehouse.land(hung_up)
    assert warehouse.only("queue_visits") == known | {"revision": known["revision"] + 1}


def test_a_fact_that_an_event_does_not_change_is_not_written_again(warehouse: Warehouse) -> None:
    call = a_call().initiated(at=NOON).queued().dequeued("timeout", after=5).hung_up(after=600)
    warehouse.land(call)
    landed = warehouse.land(call)
    assert (landed.duplicates, sum(landed.facts.values())) == (4, 0)


def test_a_visit_has_the_numbers_of_its_legs_initiation(warehouse: Warehouse) -> None:
    initiated, *rest = a_call().initiated(at=NOON).queued(after=2).answered(after=41).talked(300)
    other = a_call("agent", session="session-of-ann").initiated(at=NOON).events[0].saying(**{"from": "x", "to": "y"})
    warehouse.land([event.saying(**{"from": "another way to write it"}) for event in rest], other)
    visit = warehouse.only("queue_visits")
    assert picked(visit, "from_number", "to_number", "revision") == ("another way to write it", "+12025550131", 4)
    warehouse.land(initiated)
    visit = warehouse.only("queue_visits")
    assert picked(visit, "from_number", "to_number", "revision") == ("+12025550133", "+12025550131", 5)


def test_a_visit_whose_leg_never_said_its_numbers_has_none(warehouse: Warehouse) -> None:
    warehouse.land([event.without("from", "to") for event in a_call().initiated(at=NOON).queued().abandoned(after=5)])
    visit = warehouse.only("queue_visits")
    assert picked(visit, "from_number", "to_number", "revision") == (None, None, 4)


def test_a_bridge_ends_a_visit_whose_dequeue_was_lost(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).answered(after=15).talked(600).but_never("call.dequeued"))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "answer_confirmed", "left_at", "wait_ms") == ("answered", True, None, None)
    assert visit["left_at_latest"] == NOON + seconds(15)


def test_a_call_that_was_bridged_and_dequeued_after_its_hangup_was_answered(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).bridged(after=15).hung_up(after=600).dequeued("bridged", after=1))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "left_at", "left_at_latest") == ("answered", None, NOON + seconds(15))


def test_an_enqueue_elsewhere_ends_a_visit_whose_dequeue_was_lost(warehouse: Warehouse) -> None:
    warehouse.land(
        a_call().queued(at=NOON, queue="sales").queued(after=30, queue="general").answered(after=20).talked(60)
    )
    assert [picked(visit, "queue", "outcome", "left_at_latest", "wait_ms") for visit in in_turn(warehouse)] == [
        ("sales", "unknown", NOON + seconds(30), None),
        ("general", "answered", None, 20_000),
    ]


def test_a_dequeue_after_the_leg_went_elsewhere_is_no_visit_of_its_own(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON, queue="sales").queued(after=30, queue="general")
    warehouse.land(call.told("call.dequeued", after=5, queue="sales", reason="leave", wait_time_secs=35))
    assert [picked(visit, "queue", "outcome", "left_at") for visit in in_turn(warehouse)] == [
        ("sales", "unknown", None),
        ("general", "waiting", None),
    ]


@pytest.mark.parametrize(("early", "visits"), [(0.002, 1), (1, 1), (1.001, 2)])
def test_a_dequeue_stamped_up_to_a_second_too_early_is_the_enqueues(
    warehouse: Warehouse, early: float, visits: int
) -> None:
    call = a_call().initiated(at=NOON)
    call.told("call.dequeued", after=5, queue="support", reason="bridged", wait_time_secs=0).queued(after=early)
    warehouse.land(call.bridged(after=2).hung_up(after=60))
    found = in_turn(warehouse)
    assert len(found) == visits
    if visits == 1:
        assert picked(found[0], "outcome", "wait_ms", "enqueued_at") == ("answered", 0, NOON + seconds(5 + early))


def test_a_dequeue_that_says_how_long_it_waited_is_not_a_later_enqueues(warehouse: Warehouse) -> None:
    call = a_call().initiated(at=NOON)
    call.told("call.dequeued", after=45, queue="support", reason="timeout", wait_time_secs=40).queued(after=0.5)
    warehouse.land(call)
    assert [picked(visit, "outcome", "wait_ms") for visit in in_turn(warehouse)] == [
        ("timed_out", 40_000),
        ("waiting", None),
    ]


def test_a_second_dequeue_is_of_the_same_visit_and_its_reason_counts_if_it_says_more(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON).dequeued("bridging-in-process", after=10).dequeued("bridged", after=0.5)
    warehouse.land(call.bridged(after=0.1).hung_up(after=90))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "reason", "wait_ms", "answer_confirmed") == ("answered", "bridged", 10_000, True)


def test_a_second_dequeue_that_can_only_be_of_a_later_visit_is_one(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON).dequeued("timeout", after=10)
    warehouse.land(call.told("call.dequeued", after=100, queue="support", reason="hangup", wait_time_secs=60))
    assert [picked(visit, "outcome", "wait_ms") for visit in in_turn(warehouse)] == [
        ("timed_out", 10_000),
        ("abandoned", 60_000),
    ]


@pytest.mark.parametrize("secs", [None, 5])
def test_a_lone_dequeue_after_the_hangup_is_an_abandoned_visit(warehouse: Warehouse, secs: int | None) -> None:
    warehouse.land(a_call("bob").initiated(at=NOON).bridged().hung_up())
    call = a_call().initiated(at=NOON).hung_up(after=10)
    warehouse.land(
        call.told("call.dequeued", after=10, queue="support", reason="bridging-in-process", wait_time_secs=secs)
    )
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "enqueued_at", "wait_ms") == ("abandoned", None, None)


def test_a_bridge_that_failed_is_judged_up_to_the_legs_next_enqueue(warehouse: Warehouse) -> None:
    warehouse.land(a_call("bob").initiated(at=NOON).bridged().hung_up())
    warehouse.land(a_call().queued(at=NOON).dequeued("bridging-in-process", after=10).queued(after=20))
    assert [visit["outcome"] for visit in in_turn(warehouse)] == ["failed_bridge", "waiting"]


def in_turn(warehouse: Warehouse) -> list[dict[str, Any]]:
    """All visits, by when they were there."""
    return sorted(warehouse.dicts("queue_visits"), key=lambda visit: visit["enqueued_at"] or visit["left_at"])


@pytest.mark.parametrize(("secs", "over_by"), [(11, 89), (None, 100)])
def test_a_dequeue_from_another_queue_proves_that_a_visit_was_over(
    warehouse: Warehouse, secs: int | None, over_by: float
) -> None:
    waited = a_call("ann").queued(at=NOON, queue="overflow")
    elsewhere = a_call("ann", at=NOON).told(
        "call.dequeued", after=100, queue="sales", reason="leave", wait_time_secs=secs
    )
    hangup = a_call("ann", at=NOON).hung_up(after=500)
    warehouse.land(waited, next(iter(elsewhere)).but(event_id="left"), next(iter(hangup)).but(event_id="gone"))
    found = {row["queue"]: row for row in warehouse.dicts("queue_visits")}
    visit = found["overflow"]
    assert (visit["outcome"], visit["left_at"], visit["wait_ms"]) == ("unknown", None, None)
    assert visit["left_at_latest"] == NOON + timedelta(seconds=over_by)
    assert found["sales"]["outcome"] == "left"


def test_a_dequeue_is_of_a_later_visit_where_the_leg_had_been_elsewhere(warehouse: Warehouse) -> None:
    first = a_call("ann").queued(at=NOON, queue="sales")
    overflow = a_call("ann").queued(at=NOON + timedelta(seconds=90), queue="general")
    back = a_call("ann").queued(at=NOON + timedelta(seconds=300), queue="sales").dequeued("timeout", after=45)
    told = [*first, *(each.but(event_id="overflow") for each in overflow), [*back][1].but(event_id="back")]
    warehouse.land(told)
    found = [
        (row["queue"], row["outcome"], row["enqueued_at_source"], row["wait_ms"], row["left_at_latest"])
        for row in warehouse.dicts("queue_visits")
    ]
    assert found == [
        ("sales", "unknown", "observed", None, NOON + timedelta(seconds=90)),
        ("general", "unknown", "observed", None, NOON + timedelta(seconds=300)),
        ("sales", "timed_out", "reported", 45_000, None),
    ]


@pytest.mark.parametrize("secs", [None, 90, 44])
def test_a_dequeue_closes_what_is_open_unless_its_own_seconds_prove_otherwise(
    warehouse: Warehouse, secs: int | None
) -> None:
    call = a_call("ann", at=NOON).queued(at=NOON).bridged(after=45)
    call.told("call.dequeued", after=45, queue="support", reason="bridged", wait_time_secs=secs)
    warehouse.land(call)
    found = [(row["wait_ms"], row["left_at_latest"]) for row in warehouse.dicts("queue_visits")]
    if secs == 44:
        assert found == [(None, NOON + timedelta(seconds=45)), (44_000, None)]
    else:
        assert found == [(90_000, None)]


@pytest.mark.parametrize("hung_up_before", [0.1, -0.1])
def test_nobody_who_was_bridged_is_abandoned_whichever_stamp_of_the_end_is_first(
    warehouse: Warehouse, hung_up_before: float
) -> None:
    enqueued, bridged, dequeued = a_call().queued(at=NOON).bridged(after=10).dequeued("hangup", after=9.9)
    hangup = a_call().hung_up(after=19.9 - hung_up_before).events[0].but(event_id="hangup")
    warehouse.land(enqueued, bridged, dequeued, hangup)
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "wait_ms", "left_at") == ("answered", None, None)
    assert visit["left_at_latest"] == NOON + timedelta(seconds=10)


def test_a_dequeue_after_the_leg_was_in_another_queue_is_of_a_visit_of_its_own(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON, queue="q1").timed_out(after=10).queued(after=10, queue="q2").taken_out(after=10)
    last = a_call().dequeued("bridged", after=50).events[0].but(event_id="last")
    warehouse.land(*call, last.saying(queue="q1", wait_time_secs=None))
    assert sorted((visit["queue"], visit["outcome"]) for visit in warehouse.dicts("queue_visits")) == [
        ("q1", "answered"),
        ("q1", "timed_out"),
        ("q2", "left"),
    ]


def test_a_lone_dequeue_after_the_hangup_is_abandoned_at_the_hangup(warehouse: Warehouse) -> None:
    hangup, dequeued = a_call().hung_up(after=10).dequeued("bridging-in-process", after=10)
    warehouse.land(hangup, dequeued.saying(wait_time_secs=None))
    visit = warehouse.only("queue_visits")
    assert picked(visit, "outcome", "wait_ms", "enqueued_at") == ("abandoned", None, None)
    assert visit["left_at"] == NOON + timedelta(seconds=20), "how long it was kept in the queue is no wait"


def test_a_leg_of_which_only_queue_events_are_heard_goes_on_too(warehouse: Warehouse) -> None:
    call = a_call().queued(at=NOON).dequeued("bridging-in-process", after=10)
    bob = a_call("bob").bridged(after=5)
    hangup = a_call().hung_up(after=100_000).events[0].but(event_id="hangup")
    warehouse.land(call, bob)
    revisions = [warehouse.only("queue_visits")["revision"]]
    warehouse.land(hangup)
    assert warehouse.only("queue_visits")["outcome"] == "failed_bridge"
    assert warehouse.only("queue_visits")["revision"] > revisions[0]


def test_a_dequeue_from_a_queue_that_the_leg_had_left_for_another_is_of_a_later_visit(warehouse: Warehouse) -> None:
    entered, left = a_call().queued(at=NOON, queue="sales").timed_out(after=300)
    other = a_call().queued(at=NOON + seconds(60), queue="support")
    warehouse.land(entered, left.without("wait_time_secs"), *(event.but(event_id="other") for event in other))
    visits = {(visit["queue"], visit["outcome"]): visit for visit in warehouse.dicts("queue_visits")}
    assert visits.keys() == {("sales", "unknown"), ("support", "unknown"), ("sales", "timed_out")}
    assert visits["sales", "unknown"]["left_at_latest"] == NOON + seconds(60)
    assert visits["support", "unknown"]["left_at_latest"] == NOON + seconds(300)
    assert visits["sales", "timed_out"]["left_at"] == NOON + seconds(300)


def test_a_bridge_before_a_lone_dequeue_says_nothing_against_its_reason(warehouse: Warehouse) -> None:
    _, dequeued, _ = a_call().queued(at=NOON).abandoned(after=290)
    warehouse.land(dequeued.without("wait_time_secs"), *a_call(at=NOON).bridged())
    assert picked(warehouse.only("queue_visits"), "outcome", "enqueued_at", "wait_ms") == ("abandoned", None, None)
