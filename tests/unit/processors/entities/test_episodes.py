"""What is open goes on, however long nothing was heard of it, in whatever order it is told."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations, product

import pytest

from processors.landing.landing import Landing
from tests.support.builders import (
    NOON,
    Event,
    Warehouse,
    a_call,
    a_conference,
    bodies,
    opened_warehouse,
)
from tests.support.effort import EVERY_DAY, thinned

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MUCH_LATER = NOON + 90 * DAY


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    """An empty one."""
    with opened_warehouse() as opened:
        yield opened


def waits_an_hour(warehouse: Warehouse) -> None:
    """Let the longest wait be an hour."""
    warehouse.db.execute("update warehouse set longest_wait_ms = null")
    warehouse.landing = Landing(warehouse.db, longest_wait=HOUR)


def long_call(*silences: timedelta, ends: bool = True) -> list[Event]:
    call = a_call().initiated(at=NOON).bridged(after=5)
    for silence in silences[:-1]:
        call = call.held(60, after=silence.total_seconds() - 60)
    return [*(call.talked(silences[-1].total_seconds()) if ends else call)]


@pytest.mark.parametrize(
    "silences", [(30 * HOUR,), (30 * HOUR, 50 * HOUR), (10 * DAY, 20 * DAY, 3 * HOUR), (31 * DAY,)]
)
def test_a_long_call_is_one_row_whatever_comes_first(silences: tuple[timedelta, ...]) -> None:
    said = long_call(*silences)
    orders = (said, said[::-1], [*said[1:], said[0]], [said[-1], *said[:-1]])
    for order, one_by_one in thinned(product(orders, (True, False)), 3):
        with opened_warehouse() as warehouse:
            for batch in [[event] for event in order] if one_by_one else [order]:
                warehouse.land(*batch, now=MUCH_LATER)
            call = warehouse.only("calls")
            assert call["status"] == "ended"
            assert call["talk_ms"] == sum(silences, timedelta()) // timedelta(milliseconds=1)
            assert call["revision"] == len(said)
            before = warehouse.facts()
            warehouse.rebuild()
            assert warehouse.facts() == before


def test_what_is_silent_for_more_than_a_month_does_not_go_on(warehouse: Warehouse) -> None:
    warehouse.land(*long_call(31 * DAY + timedelta(microseconds=1)), now=MUCH_LATER)
    assert [call["talk_ms"] for call in warehouse.dicts("calls")] == [None, None]


def test_a_conference_of_two_days_is_one_in_any_order() -> None:
    room = [*a_conference().created().joined("ann", 5).left("ann", 172_000).ended(172_800)]
    for order in thinned(permutations(room), 5):
        with opened_warehouse() as warehouse:
            for event in order:
                warehouse.land(event, now=MUCH_LATER)
            assert warehouse.only("conferences")["duration_ms"] == 172_800_000
            assert warehouse.only("participant_stays")["duration_ms"] == 171_995_000


def test_a_wait_of_more_than_the_longest_is_one_visit_with_its_wait() -> None:
    call = [*a_call().initiated(at=NOON).queued(after=0).abandoned(after=70 * 60)]
    for order in thinned(permutations(call), 5):
        with opened_warehouse() as warehouse:
            waits_an_hour(warehouse)
            for event in order:
                warehouse.land(event, now=NOON + 2 * HOUR)
            visit = warehouse.only("queue_visits")
            assert (visit["outcome"], visit["wait_ms"]) == ("abandoned", 4_200_000)


def test_a_longest_wait_of_an_hour_parts_neither_calls_nor_conferences(warehouse: Warehouse) -> None:
    waits_an_hour(warehouse)
    call = a_call().initiated(at=NOON).bridged(after=1).talked(5_400)
    room = a_conference().created().joined("bob", 0).left("bob", 5_400).ended(5_410)
    for event in (*call, *room):
        warehouse.land(event, now=NOON + 3 * HOUR)
    assert warehouse.only("calls")["talk_ms"] == 5_400_000
    assert warehouse.only("conferences")["duration_ms"] == 5_410_000


def test_what_is_over_does_not_go_on_after_a_day(warehouse: Warehouse) -> None:
    first = [*a_call().initiated(at=NOON).talked(60)]
    again = [event.but(event_id=f"again-{event.event_id}", at=event.at + 30 * HOUR) for event in first if event.at]
    for event in (*again, *first):
        warehouse.land(event, now=MUCH_LATER)
    assert sorted(call["initiated_at"] for call in warehouse.dicts("calls")) == [NOON, NOON + 30 * HOUR]


def test_an_end_that_comes_late_parts_what_was_taken_for_one(warehouse: Warehouse) -> None:
    call = [*a_call().initiated(at=NOON).talked(60)]
    later = a_call().initiated(at=NOON + 30 * HOUR).events[0].but(event_id="later")
    for event in (call[0], later, call[1]):
        warehouse.land(event, now=MUCH_LATER)
    assert sorted(each["status"] for each in warehouse.dicts("calls")) == ["ended", "ringing"]
    before = warehouse.facts()
    warehouse.rebuild()
    assert warehouse.facts() == before


def test_live_calls_are_not_written_among_those_left_open(warehouse: Warehouse) -> None:
    calls = 10 if EVERY_DAY else 30
    for minute in range(calls):
        at = NOON + minute * timedelta(minutes=1)
        warehouse.land(a_call(f"leg-{minute}").initiated(at=at).queued(after=1), now=at)
    assert warehouse.dicts("open_entities") == []
    warehouse.land(a_call("next-day").initiated(at=NOON + 2 * DAY), now=NOON + 2 * DAY)
    assert len(warehouse.dicts("open_entities")) == calls
    for minute in range(calls):
        event = a_call(f"leg-{minute}").initiated(at=NOON + 2 * DAY).hung_up().events[1].but(event_id=f"end-{minute}")
        warehouse.land(event, now=NOON + 2 * DAY)
    assert [row for row in warehouse.dicts("open_entities") if not row["is_silent"]] == []
    assert {call["status"] for call in warehouse.dicts("calls")} == {"ended", "ringing"}
    assert len(warehouse.dicts("calls")) == calls + 1


def test_those_left_open_a_month_ago_are_forgotten(warehouse: Warehouse) -> None:
    warehouse.land(a_call("forgotten").initiated(at=NOON), now=NOON)
    for day in (2, 20, 40, 60):
        at = NOON + day * DAY
        warehouse.land(a_call(f"day-{day}").initiated(at=at).hung_up(), now=at)
        named = [row["entity"] for row in warehouse.dicts("open_entities")]
        assert named == (["v3:forgotten"] if day < 40 else [])


@pytest.mark.parametrize("year", [1970, 2099])
def test_an_event_from_the_wrong_year_is_named_and_harms_no_other(warehouse: Warehouse, year: int) -> None:
    said = [*a_call().initiated(at=NOON).queued(after=1).answered(after=9).talked(80)]
    stray = a_call("stray").initiated(at=NOON.replace(year=year)).events[0]
    warehouse.land(*said[:2], stray, now=NOON)
    warehouse.land(*said[2:], now=NOON)
    (named,) = warehouse.dicts("stray_events")
    assert (named["event_id"], named["occurred_at"].year) == (stray.event_id, year)
    assert warehouse.only("queue_visits")["wait_ms"] == 9_000
    assert len(warehouse.dicts("calls")) == 2


def test_an_archive_of_years_ago_is_no_stray(warehouse: Warehouse) -> None:
    old = a_call().initiated(at=NOON - 900 * DAY).hung_up(after=9)
    warehouse.land_bodies(bodies(old), origin="replay", now=NOON)
    assert warehouse.dicts("stray_events") == []
