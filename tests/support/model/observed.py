"""What only the reconciler saw counts where no webhook told the same: when that is.

What was heard and what was seen are matched one to one, the nearest first; lists cut times to the second, so seconds
count first. Of equally near ones the earlier of what was heard goes first, and then the earlier of what was seen.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from tests.support.model.happening import (
    ENQUEUED,
    EPOCH,
    NEVER,
    PERSON_BILLED,
    PERSON_SEEN,
    RECORDED,
    RECORDING_SEEN,
    SEEN_WAITING,
    Happening,
)
from tests.support.model.walk import Pair, grouped, ms, near

T = TypeVar("T")
Distance = tuple[int, int]
"""In whole seconds, then in milliseconds."""
TWO_SECONDS: Distance = (2, 2_000)


def nearest_first(
    heard: list[T], seen: list[Happening], distance: Callable[[T, Happening], Distance | None]
) -> list[tuple[T, Happening]]:
    """Those of `heard` and `seen` that tell the same; both in order, `distance` None where they are too far apart."""
    apart = [
        (far, of_heard, of_seen)
        for of_heard, one in enumerate(heard)
        for of_seen, other in enumerate(seen)
        if (far := distance(one, other)) is not None
    ]
    found: dict[int, int] = {}
    for _, of_heard, of_seen in sorted(apart):
        if of_heard not in found and of_seen not in found.values():
            found[of_heard] = of_seen
    return [(heard[one], seen[other]) for one, other in found.items()]


def between(one: datetime | None, other: datetime | None) -> Distance | None:
    """How far apart they are; None where one is not told."""
    if one is None or other is None:
        return None
    return abs(_second(one) - _second(other)), abs(ms(one, other) or 0)


def _second(at: datetime) -> int:
    return (at - EPOCH) // timedelta(seconds=1)


def told_by_waiting(events: list[Happening]) -> list[Happening]:
    """The enqueues that only a call's waiting tells: one for each time of which no webhook told."""
    found: list[Happening] = []
    enqueues = [each for each in events if each.event_type == ENQUEUED and _named(each)]
    waiting = [each for each in events if each.event_type == SEEN_WAITING and each.present and _named(each)]
    for here in grouped(lambda each: (each.leg, each.queue), [each for each in waiting if each.began]):
        seen = [min(same, key=lambda each: each.event_id) for same in grouped(lambda each: each.began, here)]
        seen.sort(key=lambda each: each.began or EPOCH)
        heard = [each for each in enqueues if (each.leg, each.queue) == (here[0].leg, here[0].queue)]
        known = [other.event_id for _, other in nearest_first(heard, seen, _one_enqueue)]
        found += [
            replace(each, event_type=ENQUEUED, at=each.began, status="rest")
            for each in seen
            if each.event_id not in known and each.began
        ]
    return found


def _one_enqueue(heard: Happening, seen: Happening) -> Distance | None:
    return between(heard.at, seen.began) if near(heard.at, seen.began) else None


def _named(each: Happening) -> bool:
    return bool(each.leg_id or each.control_id)


def bills_of(events: list[Happening]) -> list[Happening]:
    """The records of who was there, each as it was told last."""
    bills = [each for each in events if each.event_type == PERSON_BILLED and _named(each)]
    same = grouped(lambda each: (each.leg, each.subject or each.event_id), bills)
    return [max(told, key=lambda each: (each.at, each.event_id)) for told in same]


def _last_seen(events: list[Happening]) -> list[Happening]:
    """The participants that were seen, each as it was last."""
    people = [each for each in events if each.event_type == PERSON_SEEN and _named(each)]
    same = grouped(lambda each: (each.leg, each.subject or each.event_id), people)
    return [max(told, key=lambda each: (each.over is None, each.over or EPOCH, each.event_id)) for told in same]


def people_seen(events: list[Happening]) -> dict[str, list[datetime | None]]:
    """For each leg, by when each of its participants was gone."""
    found: defaultdict[str, list[datetime | None]] = defaultdict(list)
    for each in _last_seen(events):
        found[each.leg].append(each.over if each.status == "left" else None)
    return found


def first_seen_by_leg(events: list[Happening]) -> dict[str, Happening]:
    """For each leg that was seen, the first by its id."""
    return {each.leg: each for each in sorted(_last_seen(events), key=lambda each: each.event_id, reverse=True)}


def bills_of_stays(pairs: list[Pair], bills: list[Happening]) -> list[tuple[Pair, Happening]]:
    """Each stay of a leg that has a record, with it."""
    stays = sorted(pairs, key=lambda each: (_told_at(each), each.pair_id))
    in_order = sorted(bills, key=lambda each: (each.began or NEVER, each.over or NEVER, each.event_id))
    return nearest_first(stays, in_order, _one_stay)


def parted_stay(pair: Pair, bills: list[Happening]) -> list[Pair]:
    """What one record tells began and another, later one ended is of two stays: a leave and a join were lost."""
    if pair.opening is None or pair.closing is None:
        return [pair]
    two = timedelta(seconds=2)
    joined, left = pair.opening.at, pair.closing.at
    begun = _nearest(
        [each for each in bills if near(joined, each.began, two)], lambda each: between(joined, each.began)
    )
    ended = _nearest([each for each in bills if near(left, each.over, two)], lambda each: between(left, each.over))
    both = any(one is other for one in begun for other in ended)
    apart = any(one.over and other.began and one.over <= other.began for one in begun for other in ended)
    return [Pair(pair.opening, None), Pair(None, pair.closing)] if apart and not both else [pair]


def _nearest(bills: list[Happening], distance: Callable[[Happening], Distance | None]) -> list[Happening]:
    """Those in the nearest second."""
    seconds = [(distance(each) or TWO_SECONDS)[0] for each in bills]
    return [each for each, apart in zip(bills, seconds, strict=True) if apart == min(seconds)]


def _told_at(pair: Pair) -> datetime:
    first = pair.opening or pair.closing
    return first.at if first else NEVER


def _one_stay(pair: Pair, bill: Happening) -> Distance | None:
    """Near by its join or its leave; both count, and one that either does not tell as far as may be."""
    two = timedelta(seconds=2)
    joined, left = (each.at if each else None for each in (pair.opening, pair.closing))
    if not near(joined, bill.began, two) and not near(left, bill.over, two):
        return None
    joins, leaves = between(joined, bill.began) or TWO_SECONDS, between(left, bill.over) or TWO_SECONDS
    return joins[0] + leaves[0], joins[1] + leaves[1]


def kind_of_recording(each: Happening) -> str:
    return "conference" if each.event_type in (RECORDED, RECORDING_SEEN) else "call"


def told_twice(heard: list[Happening], seen: list[Happening]) -> list[str]:
    """The ids of the recordings that were seen and heard of: each given as it was told last, all of one life."""
    one, other = (sorted(told, key=_in_order) for told in (heard, seen))
    return [each.recording_id or each.event_id for _, each in nearest_first(one, other, _one_recording)]


def _in_order(each: Happening) -> tuple[datetime, str]:
    return each.recorded_from or NEVER, each.recording_id or each.event_id


def _one_recording(heard: Happening, seen: Happening) -> Distance | None:
    """By its id; of a call by its beginning, too."""
    if (heard.recording_id or heard.event_id) == (seen.recording_id or seen.event_id):
        return -1, 0
    of_call = kind_of_recording(seen) == "call"
    if not of_call or heard.leg_id != seen.leg_id or not near(heard.recorded_from, seen.recorded_from):
        return None
    return between(heard.recorded_from, seen.recorded_from)
