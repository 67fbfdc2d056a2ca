from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from simulator import (
    Habits,
    Plan,
    Queue,
    QueueVisit,
    TalkTime,
    World,
    demo,
    simulate,
)

NINE_IN_NEW_YORK = datetime(2026, 3, 2, 14, tzinfo=UTC)


def a_world(seed: int = 1, hours: float = 4, plan: Plan | None = None) -> World:
    return simulate(plan or Plan.medium(), seed=seed, start=NINE_IN_NEW_YORK, duration=timedelta(hours=hours))


@pytest.fixture(scope="module")
def world() -> World:
    return a_world(hours=6)


@pytest.fixture(scope="module")
def wild() -> World:
    """Everything that can happen, often."""
    plan = Plan.medium()
    often = replace(
        plan.habits,
        no_pickup=0.3,
        hangup_while_ringing=0.3,
        keep_after_hangup=0.5,
        leave=0.3,
        transfer=0.3,
        conference=0.8,
        conference_limit_s=400,
        rejoin=0.5,
        supervisor=0.4,
        recording=0.6,
        announcement=0.8,
        floor_s=5,
    )
    return a_world(hours=4, plan=replace(plan, habits=often))


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again, other = a_world(7), a_world(7), a_world(8)
    assert [event.body for event in first.events] == [event.body for event in again.events]
    assert first.truth == again.truth
    assert first.events[0].body != other.events[0].body


def test_events_are_in_time_order_and_have_ids_of_their_own(world: World) -> None:
    assert all(one.at <= next_one.at for one, next_one in pairwise(world.events))
    ids = Counter(event.event_id for event in world.events)
    assert ids.most_common(1)[0][1] == 1
    legs = [leg.leg_id for leg in world.history.legs]
    assert len(set(legs)) == len(legs)


def test_a_start_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="start needs a time zone"):
        simulate(Plan.medium(), seed=1, start=NINE_IN_NEW_YORK.replace(tzinfo=None), duration=timedelta(hours=1))


def test_everything_begins_and_ends(wild: World) -> None:
    types = Counter(event.event_type for event in wild.events)
    assert types["call.initiated"] == types["call.hangup"] == len(wild.history.legs)
    assert types["call.enqueued"] == types["call.dequeued"] == len(wild.truth.queue_visits)
    assert types["conference.created"] == types["conference.ended"] == len(wild.truth.conferences)
    assert types["conference.participant.joined"] == len(wild.truth.participant_stays)
    assert types["conference.participant.left"] < types["conference.participant.joined"]
    assert types["conference.recording.saved"] == sum(room.recordings for room in wild.truth.conferences)
    for leg in wild.history.legs:
        assert leg.initiated <= (leg.answered or leg.initiated) <= leg.ended


def test_every_outcome_reason_and_ending_occurs(wild: World) -> None:
    visits = wild.truth.queue_visits
    assert {visit.outcome for visit in visits} == {"answered", "abandoned", "timed_out", "left", "failed_bridge"}
    assert {visit.reason for visit in visits} == {"bridged", "bridging-in-process", "hangup", "timeout", "leave"}
    assert {room.end_reason for room in wild.truth.conferences} == {"all_left", "host_left", "time_exceeded"}
    assert {room.peak_participants for room in wild.truth.conferences} == {2, 3}
    assert any(room.unique_participants < room.participants for room in wild.truth.conferences)


def test_no_leg_is_twice_in_one_queue_at_once(wild: World) -> None:
    by_leg: dict[tuple[str, str], list[QueueVisit]] = defaultdict(list)
    for visit in wild.truth.queue_visits:
        by_leg[visit.call_leg_id, visit.queue].append(visit)
    assert any(len(visits) > 1 for visits in by_leg.values())
    for visits in by_leg.values():
        assert all(one.left_at < next_one.enqueued_at for one, next_one in pairwise(visits))


def test_positions_are_places_in_the_queue(world: World) -> None:
    for visit in world.truth.queue_visits:
        assert 1 <= visit.position_out <= visit.position_in
        assert visit.reported_wait_secs == visit.in_queue_ms // 1000 or visit.in_queue_ms % 1000 in {0, 999}


def test_a_call_kept_after_its_hangup_stopped_waiting_then(wild: World) -> None:
    kept = [visit for visit in wild.truth.queue_visits if visit.wait_ms != visit.in_queue_ms]
    assert kept
    ended = {leg.leg_id: leg.ended for leg in wild.history.legs}
    for visit in kept:
        assert visit.outcome == "abandoned"
        assert visit.wait_ms < visit.in_queue_ms
        since = round(visit.enqueued_at.timestamp() * 1_000_000)
        assert ended[visit.call_leg_id] // 1000 - since // 1000 == visit.wait_ms


def test_bridges_that_failed_have_no_bridge(wild: World) -> None:
    bridged = {leg.leg_id for leg in wild.history.legs if leg.bridged}
    for visit in wild.truth.queue_visits:
        if visit.outcome == "answered":
            assert visit.call_leg_id in bridged
        expected = {"answered": True, "failed_bridge": False}.get(visit.outcome)
        assert visit.answer_confirmed is expected


def test_where_no_bridge_is_heard_its_absence_says_nothing() -> None:
    plan = Plan.erlang_a(0.01, 100, 1, 20)
    world = a_world(plan=replace(plan, habits=Habits(no_pickup=1.0, hangup_while_ringing=1.0)))
    offered = [visit for visit in world.truth.queue_visits if visit.reason == "bridging-in-process"]
    assert offered
    assert {(visit.outcome, visit.answer_confirmed) for visit in offered} == {("answered", False)}


def test_the_floor_is_held_by_one_at_a_time(wild: World) -> None:
    rooms = {room.conference_id: room for room in wild.truth.conferences}
    floor_ms: Counter[str] = Counter()
    stay_ms: Counter[str] = Counter()
    for stay in wild.truth.participant_stays:
        assert 0 <= stay.floor_ms <= stay.duration_ms + 60
        floor_ms[stay.conference_id] += stay.floor_ms
        stay_ms[stay.conference_id] += stay.duration_ms
    for room_id, room in rooms.items():
        assert floor_ms[room_id] <= room.duration_ms + 60
        assert stay_ms[room_id] == room.participant_ms <= room.duration_ms * room.peak_participants
    early = [room for room in wild.history.conferences if room.turns[0].begun < room.created]
    assert len(early) == len(rooms)


def test_somebody_joins_at_the_very_instant_at_which_another_leaves(wild: World) -> None:
    rooms = [(room, {stay.left for stay in room.stays}) for room in wild.history.conferences]
    assert any(stay.joined in leaves for room, leaves in rooms for stay in room.stays)


def test_conferences_are_told_in_milliseconds(wild: World) -> None:
    for room in wild.history.conferences:
        instants = [room.created, room.ended]
        instants += [at for stay in room.stays for at in (stay.joined, stay.left)]
        instants += [at for turn in room.turns for at in (turn.begun, turn.ended)]
        assert all(at % 1000 == 0 for at in instants)
        assert all(room.created <= stay.joined < stay.left <= room.ended for stay in room.stays)
        assert all(one.begun < next_one.begun for one, next_one in pairwise(room.turns))


def test_the_medium_center_is_believable() -> None:
    for seed in (1, 2):
        world = simulate(Plan.medium(), seed=seed, start=NINE_IN_NEW_YORK, duration=timedelta(hours=24))
        assert 15_000 < len(world.events) < 30_000
        visits = world.truth.queue_visits
        by_hour = Counter(visit.enqueued_at.hour for visit in visits)
        assert 150 < max(by_hour.values()) < 400
        assert min(by_hour[hour] for hour in (6, 7, 8)) < max(by_hour.values()) / 10
        for queue in ("sales", "support", "billing"):
            here = [visit for visit in visits if visit.queue == queue]
            in_time = sum(visit.outcome == "answered" and visit.wait_ms <= 20_000 for visit in here)
            short = sum(visit.outcome == "abandoned" and visit.wait_ms < 5_000 for visit in here)
            assert 0.70 <= in_time / (len(here) - short) <= 0.90


def test_the_demo_is_over_before_its_end() -> None:
    until = datetime(2026, 11, 23, 17, 20, tzinfo=UTC)
    world = demo(seed=3, until=until)
    last = datetime.fromtimestamp(world.events[-1].at / 1e6, UTC)
    assert until - timedelta(hours=4) < last < until


def test_hours_are_local_and_staff_come_and_go() -> None:
    day = tuple(60.0 if 9 <= hour < 17 else 0.0 for hour in range(24))
    agents = tuple(3 if 9 <= hour < 17 else 0 for hour in range(24))
    queue = Queue("day", day, agents, TalkTime(60), mean_patience_s=None)
    plan = Plan((queue,), time_zone="Asia/Kathmandu")  # 5:45 ahead of UTC
    world = simulate(plan, seed=1, start=datetime(2026, 3, 1, tzinfo=UTC), duration=timedelta(days=2))
    minutes = [visit.enqueued_at.hour * 60 + visit.enqueued_at.minute for visit in world.truth.queue_visits]
    assert 195 <= min(minutes) < 205
    assert 665 < max(minutes) <= 675
    assert {visit.outcome for visit in world.truth.queue_visits} == {"answered"}


def test_impossible_plans_are_refused() -> None:
    queue = Plan.medium().queues[0]
    with pytest.raises(ValueError, match="agents is 0 all day"):
        replace(queue, agents=(0,) * 24)
    with pytest.raises(ValueError, match="calls_per_hour needs 24 entries"):
        replace(queue, calls_per_hour=(1.0,))
    with pytest.raises(ValueError, match="queues with different names"):
        Plan((queue, queue))
