"""The law on lost events: whatever is lost, no fact says more than what came proves.

Each claim of each fact is what is true of the whole history, or is marked as not known, or is excused by a rule of
METRICS that is named (`tests.support.claims`), and only where exactly that was lost which the rule is about.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Plan, World
from simulator.history import (
    Conference,
    Fate,
    History,
    Leg,
    Stay,
    Visit,
)
from tests.support.builders import (
    NOON,
    Event,
    microseconds,
    opened_warehouse,
    stamp,
)
from tests.support.claims import TABLES, Claim, Losses, claims
from tests.support.effort import EVERY_DAY, tried
from tests.support.worlds import a_world

EVENTUALLY = NOON + timedelta(days=300)
START = microseconds(NOON)
SHORT_MS = (1, 1, 400, 999, 1_000, 1_700, 5_000)
WAITS_MS = (0, 1, 999, 1_000, 1_500, 5_000, 41_000)
LATER_MS = (1, 400, 1_000, 41_000)
NUMBERS = ("+12025550133", "+12025550131")
REASONS = {
    Fate.ANSWERED: ("bridged", "bridging-in-process"),
    Fate.NOT_PICKED_UP: ("bridging-in-process",),
    Fate.ABANDONED: ("hangup", "leave"),
    Fate.TIMED_OUT: ("timeout",),
    Fate.LEFT: ("leave",),
}
T = TypeVar("T")


class Choice(Protocol):
    """Chance, or Hypothesis, which seeks the smallest fault."""

    def __call__(self, among: Sequence[T], /) -> T:
        """One of them; the first is the simplest."""


def some_time(choose: Choice, among: Sequence[int]) -> int:
    return choose(among) * 1_000


def a_way(choose: Choice, name: str) -> tuple[Leg, list[Visit]]:
    """A leg as Telnyx may tell it: through one to three visits, each of which ends in its way, to its hangup."""
    leg = Leg(f"v3:{name}", name, f"session-of-{name}", None, True, *NUMBERS, initiated=START)
    now = leg.answered = START + some_time(choose, LATER_MS)
    visits: list[Visit] = []
    for number in range(choose((1, 2, 3))):
        now += some_time(choose, SHORT_MS)
        visit = Visit(f"{name}-enqueue-{number}", leg, choose(("sales", "sales", "support")), now, 1, 7, 1)
        visits.append(visit)
        fate = visit.fate = choose((*Fate, Fate.ANSWERED, Fate.NOT_PICKED_UP))
        now = visit.left = now + some_time(choose, WAITS_MS)
        visit.reason = choose(REASONS[fate])
        if fate is Fate.ABANDONED:
            if visit.reason == "leave" or choose((False, True)):
                visit.gone, visit.left = now, now + some_time(choose, LATER_MS)
            break
        # whoever was taken out of the queue may be put through to somebody by other means
        if fate is Fate.ANSWERED or (fate is not Fate.NOT_PICKED_UP and choose((False, False, False, True))):
            now += some_time(choose, WAITS_MS[:4])
            leg.bridged.append(now)
        now += some_time(choose, LATER_MS)
    leg.hang_up(now)
    return leg, visits


def a_room(choose: Choice, name: str) -> Conference:
    """A conference of one or two, who come and go; whom the end finds there may send no leave."""
    people = [Leg(f"v3:{who}", who, f"session-of-{who}", None, True, *NUMBERS, initiated=START) for who in ("h", "g")]
    stays: list[Stay] = []
    for leg in people[: choose((1, 2))]:
        now = START
        for _ in range(choose((1, 2, 3))):
            joined = now + some_time(choose, SHORT_MS)
            now = joined + some_time(choose, LATER_MS)
            stays.append(Stay(leg, joined, now))
    ended = max(stay.left for stay in stays) + some_time(choose, (0, 5_000))
    for stay in stays:
        stay.told = stay.left < ended or choose((True, False))
    return Conference(name, people[0], START, ended, "all_left", stays, [], [], [])


def a_world_of(choose: Choice, *, legs: int, rooms: int) -> World:
    """So many legs and conferences, none of which has to do with another."""
    ways = [a_way(choose, f"leg-{number}") for number in range(legs)]
    visits = [visit for _, through in ways for visit in through]
    conferences = [a_room(choose, f"room-{number}") for number in range(rooms)]
    return World(Plan.medium(), 1, History([leg for leg, _ in ways], visits, conferences))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A few of each."""
    return a_world_of(lambda among: draw(st.sampled_from(among)), legs=3, rooms=2)


def all_claims(world: World, arrived: Collection[str]) -> list[Claim]:
    """What the warehouse claims once those events have come, long afterwards."""
    with opened_warehouse() as warehouse:
        came = [event.body for event in world.events if event.event_id in arrived]
        warehouse.land_bodies(came, now=EVENTUALLY, received=EVENTUALLY)
        return list(claims(Losses(world, arrived), {table: warehouse.dicts(table) for table in TABLES}))


def untrue(found: Iterable[Claim]) -> list[Claim]:
    """Those that say more than what came proves."""
    return [claim for claim in found if claim.verdict == "untrue"]


@tried(15)
@given(worlds(), st.data())
def test_no_fact_says_more_than_what_came_proves(world: World, data: st.DataObject) -> None:
    lost = data.draw(st.lists(st.booleans(), min_size=len(world.events), max_size=len(world.events)))
    arrived = {event.event_id for event, is_lost in zip(world.events, lost, strict=True) if not is_lost}
    assert not untrue(all_claims(world, arrived))


@pytest.mark.parametrize("seed", range(1, 2 if EVERY_DAY else 50))
@pytest.mark.parametrize("share", [0.03, 0.1, 0.25, 0.4, 0.6])
def test_no_fact_of_many_says_more_than_what_came_proves(share: float, seed: int) -> None:
    rng = random.Random(seed)
    world = a_world_of(rng.choice, legs=150, rooms=50)
    found = all_claims(world, some_of(world, share, rng))
    assert not untrue(found)
    assert {claim.verdict for claim in found} == {"true", "marked", "decided"}


@pytest.mark.parametrize("seed", range(5, 6 if EVERY_DAY else 50))
@pytest.mark.parametrize("share", [0.03, 0.1, 0.4])
def test_no_fact_of_a_center_says_more_than_what_came_proves(share: float, seed: int) -> None:
    world = a_world(seed)
    assert not untrue(all_claims(world, some_of(world, share, random.Random(seed))))


def test_where_nothing_is_lost_all_claims_are_true() -> None:
    world = a_world_of(random.Random(1).choice, legs=150, rooms=50)
    found = all_claims(world, some_of(world, 0, random.Random(1)))
    assert {claim.verdict for claim in found} == {"true"}


@pytest.mark.parametrize("seed", range(1 if EVERY_DAY else 50))
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_where_records_tell_of_all_stays_each_is_there_once(share: float, seed: int) -> None:
    """Either end to the second; within one nobody can tell which is which, so all stays of a leg count together."""
    rng = random.Random(seed)
    world = a_world_of(rng.choice, legs=0, rooms=100)
    arrived = some_of(world, share, rng)
    came = [event.body for event in world.events if event.event_id in arrived]
    stays = [(room, stay) for room in world.history.conferences for stay in room.stays]
    with opened_warehouse() as warehouse:
        warehouse.land_bodies([*came, *(a_record(room, stay) for room, stay in stays)], now=EVENTUALLY)
        rows = warehouse.dicts("participant_stays")
    wanted = Counter((room.conference_id, stay.leg.leg_id) for room, stay in stays)
    assert Counter((row["conference_id"], row["call_leg_id"]) for row in rows) == wanted
    there = dict.fromkeys(wanted, 0)
    for row in rows:
        there[row["conference_id"], row["call_leg_id"]] += row["duration_ms"]
    for room, stay in stays:
        there[room.conference_id, stay.leg.leg_id] -= (stay.left - stay.joined) // 1_000
    assert [whose for whose, off_ms in there.items() if abs(off_ms) >= 2_000 * wanted[whose]] == []


def a_record(room: Conference, stay: Stay) -> bytes:
    """What the list of detail records says of a stay, to the second."""
    joined, left = (stamp(NOON + (at - START) // 1_000_000 * timedelta(seconds=1)) for at in (stay.joined, stay.left))
    said = {"conference_id": room.conference_id, "call_leg_id": stay.leg.leg_id, "joined_at": joined, "left_at": left}
    record_id = f"record-of-{room.conference_id}-{stay.leg.leg_id}-{stay.joined}"
    kind = "reconciler.conference.participant.record.observed"
    return Event(record_id, kind, NOON, said | {"record_id": record_id}).body()


def some_of(world: World, share: float, rng: random.Random) -> set[str]:
    """What came of its events where that share of them was lost."""
    return {event.event_id for event in world.events if rng.random() >= share}
