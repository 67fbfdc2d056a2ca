"""What only the reconciler saw counts where no webhook told the same: when that is."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta

from tests.laws.model.happening import (
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
from tests.laws.model.walk import Pair, grouped, near


def told_by_waiting(events: list[Happening]) -> list[Happening]:
    """The enqueues that only a call's waiting tells: one for each time of which no webhook told."""
    found: list[Happening] = []
    seen = [each for each in events if each.event_type == SEEN_WAITING and each.present and _named(each)]
    for same in grouped(lambda each: (each.leg, each.queue, each.began), seen):
        first = min(same, key=lambda each: each.event_id)
        heard = [
            each.at
            for each in events
            if each.event_type == ENQUEUED and _named(each) and (each.leg, each.queue) == (first.leg, first.queue)
        ]
        if first.began is not None and not any(near(at, first.began) for at in heard):
            found.append(replace(first, event_type=ENQUEUED, at=first.began, status="rest"))
    return found


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


def same_stay(pair: Pair, bill: Happening) -> bool:
    two = timedelta(seconds=2)
    joined = pair.opening is not None and near(pair.opening.at, bill.began, two)
    return joined or (pair.closing is not None and near(pair.closing.at, bill.over, two))


def bill_of(pair: Pair, bills: list[Happening]) -> Happening | None:
    """The record of that stay, the earliest should there be more than one."""
    return min(
        (each for each in bills if same_stay(pair, each)),
        key=lambda each: (each.began or NEVER, each.over or NEVER, each.event_id),
        default=None,
    )


def kind_of_recording(each: Happening) -> str:
    return "conference" if each.event_type in (RECORDED, RECORDING_SEEN) else "call"


def same_recording(seen: Happening, heard: Happening) -> bool:
    if kind_of_recording(seen) != kind_of_recording(heard):
        return False
    if (seen.recording_id or seen.event_id) == (heard.recording_id or heard.event_id):
        return True
    of_call = kind_of_recording(seen) == "call"
    return of_call and seen.leg_id == heard.leg_id and near(heard.recorded_from, seen.recorded_from)
