"""The rules of being in a conference: who, from when to when, and who had the floor."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from tests.support.model.happening import (
    CONFERENCE_BILLED,
    CONFERENCE_SEEN,
    ENDED,
    EPOCH,
    FLOOR,
    JOINED,
    LEFT,
    NEVER,
    Happening,
)
from tests.support.model.observed import bills_of, bills_of_stays, first_seen_by_leg, parted_stay, people_seen
from tests.support.model.rows import Stay
from tests.support.model.walk import Pair, earliest, grouped, ms, walked


@dataclass(frozen=True)
class Presence:
    """A leg in a conference."""

    stay_id: str
    leg: str
    ids: tuple[str | None, str | None, str | None]
    """The call_control_id, the leg and the session."""
    joined_at: datetime | None
    joined_at_source: str | None
    left_at: datetime | None
    left_at_source: str | None
    left_at_latest: datetime | None

    @property
    def over_at(self) -> datetime:
        """When it was over at the latest: a leg that joins again was gone by then."""
        return self.left_at or self.left_at_latest or NEVER

    def holds(self, moment: datetime) -> bool:
        """Whether the leg was there then, bounds included."""
        return (self.joined_at is None or self.joined_at <= moment) and moment <= self.over_at


@dataclass(frozen=True)
class _End:
    """When a conference was over, who says so, and by when it was where nobody does."""

    at: datetime | None
    source: str | None
    latest: datetime | None
    seen: bool


def end_of(events: list[Happening]) -> _End:
    heard = max((each.at for each in events if each.event_type == ENDED), default=None)
    billed = max((each.over for each in events if each.event_type == CONFERENCE_BILLED and each.over), default=None)
    completed = [each for each in events if each.event_type == CONFERENCE_SEEN and each.status == "completed"]
    latest = min((each.over for each in completed if each.over), default=None)
    if heard is not None:
        return _End(heard, "webhook", None, bool(completed))
    if billed is not None:
        return _End(billed, "detail_record", None, bool(completed))
    return _End(None, None, latest, bool(completed))


def presences(events: list[Happening]) -> list[Presence]:
    end = end_of(events)
    moves = [each for each in events if each.event_type in (JOINED, LEFT)]
    bills = bills_of(events)
    seen = people_seen(events)
    gone_by = {leg: max(gone) if all(gone) else None for leg, gone in seen.items()}  # type: ignore[type-var]
    found: list[Presence] = []
    taken: set[str] = set()
    for moves_of_leg in grouped(lambda each: each.leg, moves):
        leg = moves_of_leg[0].leg
        of_leg = [each for each in bills if each.leg == leg]
        pairs = [each for pair in walked(moves_of_leg, JOINED) for each in parted_stay(pair, of_leg)]
        billed = bills_of_stays(pairs, of_leg)
        taken |= {bill.event_id for _, bill in billed}
        for pair in pairs:
            bill = next((bill for stay, bill in billed if stay is pair), None)
            found.append(_presence(pair, leg, bill, end, gone_by.get(leg)))
    unmatched = [bill for bill in bills if bill.event_id not in taken]
    found += [_presence(None, bill.leg, bill, end, gone_by.get(bill.leg)) for bill in unmatched]
    for leg, told in first_seen_by_leg(events).items():
        if leg not in {each.leg for each in found}:
            bounds = (gone_by[leg], end.at or end.latest)
            ids = (told.control_id, told.leg_id, None)
            found.append(Presence(told.event_id, leg, ids, None, None, None, None, earliest(*bounds)))
    return found


def _presence(pair: Pair | None, leg: str, bill: Happening | None, end: _End, gone_by: datetime | None) -> Presence:
    opening, closing = (pair.opening, pair.closing) if pair else (None, None)
    joined_at, joined_at_source = (opening.at, "webhook") if opening else (None, None)
    if joined_at is None and bill and bill.began and (closing is None or bill.began <= closing.at):
        joined_at, joined_at_source = bill.began, "detail_record"
    reopened_at = pair.reopened_at if pair else None
    ended_at = end.at if end.at and (closing if joined_at is None else end.at >= joined_at) else None
    billed = bill.over if bill else None
    if billed is not None and joined_at is not None:  # what is cut to the second may seem to lie before the join
        billed = max(billed, joined_at) if _second(billed) >= _second(joined_at) else None
    before_the_end = ended_at is None or (billed is not None and _second(billed) < _second(ended_at))
    reopened = reopened_at is not None and (ended_at is None or reopened_at < ended_at)
    left_at: datetime | None = None
    left_at_source: str | None = None
    if closing is not None and (ended_at is None or closing.at <= ended_at):
        left_at, left_at_source = closing.at, "webhook"
    elif closing is not None:
        left_at, left_at_source = ended_at, "conference"
    elif billed is not None and (reopened or before_the_end):
        left_at, left_at_source = billed, "detail_record"
    elif not reopened and ended_at is not None:
        left_at, left_at_source = ended_at, "conference"
    bounds = [at for at in (gone_by, end.latest) if at is not None and (joined_at is None or at >= joined_at)]
    bounds += [end.at] if joined_at is None and end.at is not None else []
    told = pair if pair is not None else Pair(bill, None)
    return Presence(
        stay_id=told.pair_id,
        leg=leg,
        ids=(told.first("control_id") if pair else None, told.first("leg_id"), told.first("session_id")),
        joined_at=joined_at,
        joined_at_source=joined_at_source,
        left_at=left_at,
        left_at_source=left_at_source,
        left_at_latest=earliest(reopened_at, *bounds) if left_at is None else None,
    )


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _whose(change: Happening, of_speaker: list[Presence]) -> Presence | None:
    """The stay in which the floor was taken: of several that which began last, of those that which was over first.

    Else the speaker's next one.
    """
    there = [each for each in of_speaker if each.holds(change.at)]
    if there:
        latest = max(each.joined_at or EPOCH for each in there)
        of_latest = [each for each in there if (each.joined_at or EPOCH) == latest]
        return min(of_latest, key=lambda each: (each.over_at, each.stay_id))
    later = [each for each in of_speaker if each.joined_at is not None and each.joined_at > change.at]
    return min(later, key=lambda each: (each.joined_at or NEVER, each.over_at, each.stay_id), default=None)


def stays(events: list[Happening], there: list[Presence]) -> list[Stay]:
    held: defaultdict[str, list[int]] = defaultdict(list)
    changes = [each for each in events if each.event_type == FLOOR]
    ended_at = end_of(events).at
    for number, change in enumerate(changes):
        if change.leg_id is None and change.control_id is None:
            continue  # somebody speaks, and nobody said who
        lost = [after.at for after in changes[number + 1 : number + 2]]
        lost += [ended_at] if ended_at is not None and ended_at >= change.at else []
        mine = _whose(change, [each for each in there if each.leg == change.leg])
        if mine is not None and [*lost, mine.over_at] != [NEVER]:
            begun = max(change.at, mine.joined_at or change.at)
            held[mine.stay_id].append(max(0, ms(begun, min([*lost, mine.over_at])) or 0))
    return [
        Stay(
            stay_id=each.stay_id,
            conference_id=events[0].conference_id or "",
            call_control_id=each.ids[0],
            call_leg_id=each.ids[1],
            call_session_id=each.ids[2],
            joined_at=each.joined_at,
            joined_at_source=each.joined_at_source,
            left_at=each.left_at,
            left_at_source=each.left_at_source,
            left_at_latest=each.left_at_latest,
            duration_ms=ms(each.joined_at, each.left_at),
            floor_ms=sum(held[each.stay_id]),
        )
        for each in there
    ]
