"""The rules of METRICS for calls, one hard case each."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.builders import (
    CONNECTION,
    NOON,
    Warehouse,
    a_call,
    opened_warehouse,
)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        yield opened


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def the_call(warehouse: Warehouse, *names: str) -> tuple[Any, ...]:
    row = warehouse.only("calls")
    return tuple(row[name] for name in names)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_call_is_one_row_with_all_that_was_said_of_its_leg(warehouse: Warehouse, backwards: bool) -> None:
    call = (
        a_call("ann")
        .initiated(at=NOON)
        .picked_up(after=2.5)
        .told("call.machine.detection.ended", result="human", after=1)
    )
    call.queued(after=1).answered(after=41).held(10, after=20).held(5, after=3).talked(60)
    call.told("call.conversation.ended", duration_sec=3, reason="customer_disconnect", after=0.1)
    parts = [{"call_part": "sip-trunking", "currency": "USD"}, {"call_part": "call-control", "currency": "USD"}]
    call.told("call.cost", status="success", total_cost="0.0106", billed_duration_secs=120, cost_parts=parts, after=5)
    warehouse.land(reversed(list(call)) if backwards else call)
    row = warehouse.only("calls")
    assert {name: row[name] for name in row if not name.startswith("entity")} == {
        "call_leg_id": "ann",
        "call_control_id": "v3:ann",
        "call_session_id": "session-of-ann",
        "connection_id": CONNECTION,
        "direction": "incoming",
        "from_number": "+12025550133",
        "to_number": "+12025550131",
        "initiated_at": NOON,
        "answered_at": NOON + seconds(2.5),
        "bridged_at": NOON + seconds(45.5),
        "ended_at": NOON + seconds(143.5),
        "status": "ended",
        "hangup_cause": "normal_clearing",
        "hangup_source": "caller",
        "ring_ms": 2_500,
        "talk_ms": 98_000,
        "holds": 2,
        "hold_ms": 15_000,
        "cost": Decimal("0.0106"),
        "currency": "USD",
        "billed_secs": 120,
        "machine_result": "human",
        "conversation_ms": 3_000,
        "conversation_reason": "customer_disconnect",
        "revision": 13,
        "origins": "webhook",
    }


def test_a_call_rings_until_something_else_is_heard_and_is_over_with_its_hangup(warehouse: Warehouse) -> None:
    found = []
    for event in a_call().initiated(at=NOON).picked_up(after=2).hung_up(after=5):
        warehouse.land(event)
        found.append(the_call(warehouse, "status", "ring_ms", "talk_ms", "revision"))
    assert found == [("ringing", None, None, 1), ("in_progress", 2_000, None, 2), ("ended", 2_000, None, 3)]


def test_a_call_whose_cost_is_known_is_over_although_nobody_said_when(warehouse: Warehouse) -> None:
    warehouse.land(a_call().told("call.cost", total_cost="0.5", after=0))
    assert the_call(warehouse, "status", "ended_at", "cost") == ("ended", None, Decimal("0.5"))


def test_the_legs_of_a_session_are_calls_of_their_own(warehouse: Warehouse) -> None:
    caller, agent = a_call("ann", session="s"), a_call("agent", session="s")
    warehouse.land(caller.initiated(at=NOON).bridged(after=9), agent.initiated(at=NOON + seconds(5)).bridged(after=4))
    assert [(row["call_leg_id"], row["call_session_id"]) for row in warehouse.dicts("calls")] == [
        ("ann", "s"),
        ("agent", "s"),
    ]


def test_a_queue_alone_makes_no_call(warehouse: Warehouse) -> None:
    warehouse.land(a_call().queued(at=NOON).dequeued("timeout", after=5))
    assert warehouse.rows("calls") == []


def test_a_call_event_that_names_no_leg_makes_no_call(warehouse: Warehouse) -> None:
    landed = warehouse.land([event.without("call_leg_id", "call_control_id") for event in a_call().initiated(at=NOON)])
    assert (landed.events, warehouse.rows("calls")) == (1, [])


def test_an_open_hold_ends_with_the_hangup(warehouse: Warehouse) -> None:
    warehouse.land(a_call(at=NOON).bridged().held(None, after=10).hung_up(after=7))
    assert the_call(warehouse, "holds", "hold_ms") == (1, 7_000)


def test_a_hold_that_goes_on_has_no_length_yet(warehouse: Warehouse) -> None:
    warehouse.land(a_call(at=NOON).bridged().held(None, after=10))
    assert the_call(warehouse, "holds", "hold_ms", "status") == (1, 0, "in_progress")


def test_a_lost_unhold_is_not_given_a_time_by_the_next_hold(warehouse: Warehouse) -> None:
    warehouse.land(a_call(at=NOON).bridged().held(None, after=10).held(5, after=20).hung_up(after=60))
    assert the_call(warehouse, "holds", "hold_ms") == (2, 5_000)


def test_an_unhold_alone_is_no_hold(warehouse: Warehouse) -> None:
    warehouse.land(a_call(at=NOON).bridged().held(5, after=10).but_never("call.hold").hung_up(after=60))
    assert the_call(warehouse, "holds", "hold_ms") == (0, 0)


def test_a_hold_ends_with_the_call_whatever_a_later_unhold_says(warehouse: Warehouse) -> None:
    warehouse.land(a_call(at=NOON).bridged().held(None, after=10).hung_up(after=50).told("call.unhold", after=20))
    assert the_call(warehouse, "holds", "hold_ms", "talk_ms") == (1, 50_000, 60_000)


def test_of_several_hangups_the_first_counts(warehouse: Warehouse) -> None:
    call = a_call(at=NOON).bridged().hung_up(after=60)
    warehouse.land(call.told("call.hangup", after=30, hangup_cause="timeout", hangup_source="callee"))
    assert the_call(warehouse, "talk_ms", "hangup_source", "status") == (60_000, "caller", "ended")


def test_time_that_would_run_backwards_is_no_duration(warehouse: Warehouse) -> None:
    call = a_call().initiated(at=NOON).hung_up(after=1).picked_up(after=-9).bridged(after=20).held(None, after=1)
    warehouse.land(call)
    assert the_call(warehouse, "ring_ms", "talk_ms", "hold_ms", "status") == (None, None, 0, "ended")


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ({"total_cost": None, "billed_duration_secs": None, "status": "error"}, (None, None, None)),
        ({"total_cost": "a lot", "billed_duration_secs": 60}, (None, None, None)),
        ({"total_cost": "1e300", "cost_parts": 7}, (None, None, None)),
        ({"total_cost": "NaN"}, (None, None, None)),
        ({"total_cost": {"cost": 1}, "cost_parts": [{"currency": "USD"}]}, (None, None, None)),
        ({"total_cost": "0.1", "billed_duration_secs": -5, "cost_parts": []}, (Decimal("0.1"), None, None)),
        ({"total_cost": 3, "billed_duration_secs": "60", "cost_parts": [{}]}, (Decimal(3), None, 60)),
    ],
)
def test_a_cost_is_what_can_be_believed_of_it(
    warehouse: Warehouse, said: dict[str, Any], believed: tuple[Any, ...]
) -> None:
    warehouse.land(a_call().initiated(at=NOON).told("call.cost", after=9, **said))
    assert the_call(warehouse, "cost", "currency", "billed_secs") == believed


def test_of_two_bills_and_two_verdicts_the_last_that_says_something_counts(warehouse: Warehouse) -> None:
    call = a_call().initiated(at=NOON)
    for cost, result in (("0.1", "not_sure"), ("0.2", "machine"), (None, None)):
        call.told("call.cost", total_cost=cost, after=1).told(
            "call.machine.premium.detection.ended", result=result, after=1
        )
    warehouse.land(*reversed(list(call)))
    assert the_call(warehouse, "cost", "machine_result", "revision") == (Decimal("0.2"), "machine", 7)


def test_a_payload_that_is_none_says_nothing_of_a_cost(warehouse: Warehouse) -> None:
    (cost,) = a_call("ann").told("call.cost", after=0, total_cost="1")
    warehouse.land(a_call("ann").initiated(at=NOON), cost.body().replace(b'"payload":{', b'"payload":[],"was":{'))
    assert the_call(warehouse, "cost", "status") == (None, "ringing")


def test_what_is_held_after_the_hangup_is_no_hold(warehouse: Warehouse) -> None:
    held, hung_up = a_call().initiated(at=NOON).held(None, after=5), a_call(at=NOON).hung_up(after=10)
    late = a_call(at=NOON).held(8, after=12)
    said = [*held, *(event.but(event_id=f"late-{n}") for n, event in enumerate((*hung_up, *late)))]
    warehouse.land(*said)
    assert (warehouse.only("calls")["holds"], warehouse.only("calls")["hold_ms"]) == (1, 5_000)
