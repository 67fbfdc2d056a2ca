"""The rules of queue visits: one leg, its enqueues and dequeues walked in time order through all queues at once."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from tests.support.model.calls import told_numbers
from tests.support.model.happening import (
    BRIDGED,
    DEQUEUED,
    ENQUEUED,
    HANGUP,
    JOINED,
    LONGEST_WAIT,
    NEVER,
    SEEN_WAITING,
    Happening,
)
from tests.support.model.observed import between, told_by_waiting
from tests.support.model.rows import Visit
from tests.support.model.walk import Pair, earliest, grouped, ms, near, walked

SECOND = timedelta(seconds=1)


@dataclass
class _Stretch:
    """A visit as enqueues and dequeues alone tell it."""

    enqueue: Happening | None
    dequeues: list[Happening] = field(default_factory=list)
    out_of_order: bool = False

    @property
    def first(self) -> Happening:
        found = self.enqueue or self.dequeues[0]
        assert found is not None
        return found

    @property
    def dequeued_at(self) -> datetime | None:
        if self.enqueue is not None and self.out_of_order:
            return self.enqueue.at
        return self.dequeues[0].at if self.dequeues else None

    @property
    def reason(self) -> str | None:
        """The most telling of its dequeues; of equals the first."""
        return max((each.reason for each in self.dequeues), key=_telling, default=None)

    @property
    def begun_at(self) -> datetime | None:
        """When it began, as far as anybody said."""
        if self.enqueue is not None:
            return self.enqueue.at
        secs = self.dequeues[0].reported_wait_secs
        return None if secs is None else self.dequeues[0].at - timedelta(seconds=secs)

    @property
    def present_at(self) -> datetime:
        return self.begun_at or self.dequeues[0].at

    @property
    def order(self) -> tuple[datetime, bool, str]:
        return self.present_at, self.dequeued_at != self.present_at, self.first.event_id

    def said(self, name: str) -> str | None:
        """What the enqueue says, else the first dequeue."""
        found = [getattr(each, name) for each in (self.enqueue, *self.dequeues[:1]) if each is not None]
        return next((value for value in found if value is not None), None)


def _telling(reason: str | None) -> int:
    return {"bridged": 2, "bridging-in-process": 1}.get(reason or "", 0)


def _pairs(moves: list[Happening], heard: list[datetime], entered: list[datetime]) -> list[Pair]:
    """Those of one queue. `heard`: when something was heard of the leg's way, here, in other queues or bridged.

    `entered`: when it entered other queues.
    """
    enqueues = [each.at for each in moves if each.event_type == ENQUEUED]
    return [each for pair in walked(moves, ENQUEUED) for each in _parted(pair, heard, entered, enqueues)]


def _stretches(pairs: list[Pair], from_elsewhere: set[str]) -> list[_Stretch]:
    """Those of one queue. `from_elsewhere`: the ids of pairs before which the leg was in another queue."""
    found: list[_Stretch] = []
    for pair in sorted(pairs, key=_place):
        if pair.opening is not None:
            found.append(_Stretch(pair.opening, [pair.closing] if pair.closing else []))
            continue
        lone = pair.closing
        assert lone is not None
        again = found and found[-1].dequeues and not _begins_after(found[-1].dequeues[-1].at, lone)
        if again and pair.pair_id not in from_elsewhere:
            found[-1].dequeues.append(lone)  # told again
        else:
            found.append(_Stretch(None, [lone]))
    return _mended(found)


def _parted(pair: Pair, heard: list[datetime], entered: list[datetime], enqueues: list[datetime]) -> list[Pair]:
    """A dequeue whose own seconds prove that it began after the leg had been elsewhere is of a later visit.

    One without seconds is, too, where the leg entered another queue meanwhile: a leg is in one queue at a time. Not so
    where another visit opens at its instant: then what is open is closed first.
    """
    if pair.opening is not None and pair.closing is not None and pair.closing.at not in enqueues:
        began, lone = pair.opening.at, pair.closing
        was_elsewhere = any(began < at and _begins_after(at, lone) for at in heard)
        moved = lone.reported_wait_secs is None and any(began < at < lone.at for at in entered)
        if was_elsewhere or moved:
            return [Pair(pair.opening, None), Pair(None, lone)]
    return [pair]


def _place(pair: Pair) -> tuple[datetime, bool, datetime, str]:
    first = pair.opening or pair.closing
    assert first is not None
    return first.at, pair.opening is None, pair.closing.at if pair.closing else NEVER, pair.pair_id


def _begins_after(earlier: datetime, lone: Happening) -> bool:
    """Whether Telnyx's own seconds, which it cuts, prove that the visit began after that."""
    secs = lone.reported_wait_secs
    return secs is not None and lone.at - timedelta(seconds=secs + 1) >= earlier


def _mended(stretches: list[_Stretch]) -> list[_Stretch]:
    """A dequeue stamped up to a second before its enqueue is that enqueue's, where neither has another partner."""
    found: list[_Stretch] = []
    for each in stretches:
        before = found[-1] if found else None
        if (
            before is not None
            and before.enqueue is None
            and each.enqueue is not None
            and not each.dequeues
            and before.dequeues[0].at < each.enqueue.at <= before.dequeues[0].at + SECOND
            and (before.dequeues[0].reported_wait_secs or 0) <= 1
        ):
            found[-1] = _Stretch(each.enqueue, before.dequeues, out_of_order=True)
        else:
            found.append(each)
    return found


def visits(events: list[Happening], bridges_heard: set[str | None], judged_at: datetime) -> list[Visit]:
    """The visits of one leg."""
    moves = [each for each in events if each.event_type in (ENQUEUED, DEQUEUED)]
    moves += told_by_waiting(events)
    heard = [each.at for each in (*moves, *events) if each.event_type in (ENQUEUED, DEQUEUED, BRIDGED)]
    queues = [
        _pairs(here, heard, [each.at for each in moves if each.event_type == ENQUEUED and each.queue != here[0].queue])
        for here in grouped(lambda each: each.queue, moves)
    ]
    way = sorted((pair for pairs in queues for pair in pairs), key=_place)
    from_elsewhere = {after.pair_id for before, after in pairwise(way) if before.first("queue") != after.first("queue")}
    stretches = [each for pairs in queues for each in _stretches(pairs, from_elsewhere)]
    stretches.sort(key=lambda each: each.order)
    return [
        _visit(_Placed(each, stretches[:number], stretches[number + 1 :]), events, bridges_heard, judged_at)
        for number, each in enumerate(stretches)
    ]


@dataclass(frozen=True)
class _Placed:
    """A stretch, and those of the leg before and after it."""

    stretch: _Stretch
    before: list[_Stretch]
    after: list[_Stretch]


@dataclass(frozen=True)
class _Ending:
    """What else than a dequeue says of a visit's end; `first` of them where a dequeue did not come before."""

    hung_up: datetime | None
    bridged_at: datetime | None
    first: datetime | None
    by_bridge: bool
    by_join: bool
    by_hangup: bool

    @property
    def is_evident(self) -> bool:
        return self.by_bridge or self.by_join

    @property
    def gave_up_at(self) -> datetime | None:
        return self.hung_up if self.by_hangup else None


def _ending(placed: _Placed, events: list[Happening], dequeued_at: datetime | None, *, is_cut: bool) -> _Ending:
    stretch = placed.stretch
    hangups = [each.at for each in events if each.event_type == HANGUP]
    hung_up = min((at for at in hangups if stretch.enqueue is None or at >= stretch.present_at), default=None)
    next_begins = placed.after[0].present_at if placed.after else NEVER
    from_the_start = stretch.begun_at is None and not placed.before

    def heard_first(event_type: str) -> datetime | None:
        heard = (
            each.at
            for each in events
            if each.event_type == event_type and each.at < next_begins and each.of_another == (event_type == JOINED)
        )
        return min((at for at in heard if from_the_start or at >= stretch.present_at), default=None)

    bridged_at, joined_at = heard_first(BRIDGED), heard_first(JOINED)
    kept = dequeued_at is not None and hung_up is not None and hung_up < dequeued_at
    end_is_open = dequeued_at is None or kept or (stretch.reason == "hangup" and stretch.begun_at is not None)
    first = earliest(bridged_at, joined_at, hung_up)
    if first is not None and dequeued_at is not None and dequeued_at <= first:
        first = None  # it was over before any of them
    by_bridge = end_is_open and bridged_at is not None and bridged_at == first
    by_join = end_is_open and not by_bridge and joined_at is not None and joined_at == first
    left_open = dequeued_at is None and not is_cut and hung_up is not None
    by_hangup = not (by_bridge or by_join) and (kept or left_open)
    return _Ending(hung_up, bridged_at, first, by_bridge, by_join, by_hangup)


def _visit(placed: _Placed, events: list[Happening], bridges_heard: set[str | None], judged_at: datetime) -> Visit:
    stretch, after = placed.stretch, placed.after
    observed = stretch.enqueue is not None
    dequeued_at = stretch.dequeued_at
    cut_at = after[0].present_at if after else None
    if cut_at is not None and dequeued_at is not None and cut_at >= dequeued_at:
        cut_at = None
    if cut_at is not None:
        dequeued_at = None  # the leg was elsewhere by then
    end = _ending(placed, events, dequeued_at, is_cut=cut_at is not None)
    gone_by, seen_waiting_at = _sightings(placed, events)
    over = end.first if end.is_evident else end.hung_up if end.by_hangup else stretch.dequeued_at
    enqueued_at = stretch.begun_at
    if not observed and enqueued_at is not None and over is not None and enqueued_at > over:
        enqueued_at = None  # nobody queues who has hung up
    left_at = None if end.is_evident else dequeued_at or end.gave_up_at
    connection_id = stretch.said("connection_id")
    if end.by_bridge:
        outcome = "answered"
    elif end.by_join:
        outcome = "unknown"
    elif end.by_hangup:
        outcome = "abandoned"
    elif cut_at is not None:
        outcome = "unknown"
    elif dequeued_at is None:
        last_seen = seen_waiting_at or stretch.present_at
        outcome = "unknown" if gone_by or last_seen <= judged_at - LONGEST_WAIT else "waiting"
    else:
        is_over = end.hung_up is not None or bool(after)
        outcome = _outcome(stretch.reason, end.bridged_at is not None, is_over and connection_id in bridges_heard)
    numbers = told_numbers(events)
    source = "rest" if observed and stretch.first.status == "rest" else "observed" if observed else "reported"
    return Visit(
        visit_id=stretch.first.event_id,
        call_control_id=stretch.said("control_id"),
        call_leg_id=stretch.said("leg_id"),
        call_session_id=stretch.said("session_id"),
        connection_id=connection_id,
        queue=stretch.said("queue"),
        from_number=numbers.from_number if numbers else None,
        to_number=numbers.to_number if numbers else None,
        enqueued_at=enqueued_at,
        enqueued_at_source=source if enqueued_at else None,
        left_at=left_at,
        left_at_latest=_latest(end, gone_by, cut_at) if left_at is None else None,
        seen_waiting_at=seen_waiting_at if left_at is None and not end.is_evident else None,
        wait_ms=ms(enqueued_at, end.gave_up_at or left_at),
        in_queue_ms=ms(enqueued_at, left_at),
        reported_wait_secs=stretch.dequeues[0].reported_wait_secs if stretch.dequeues else None,
        reason=stretch.reason,
        outcome=outcome,
        answer_confirmed=_confirmed(stretch, end, dequeued_at),
        position_in=stretch.enqueue.position if stretch.enqueue else None,
        position_out=stretch.dequeues[0].position if stretch.dequeues else None,
    )


def _confirmed(stretch: _Stretch, end: _Ending, dequeued_at: datetime | None) -> bool | None:
    """Whether a bridge confirms the answer that a reason tells of, or is one itself."""
    if end.by_bridge:
        return True
    if dequeued_at is None or end.is_evident or not _telling(stretch.reason):
        return None
    return end.bridged_at is not None


def _latest(end: _Ending, gone_by: datetime | None, cut_at: datetime | None) -> datetime | None:
    """By when it was over at the latest: a bridge is its end; else the first that says so."""
    return end.bridged_at if end.by_bridge else earliest(end.first if end.by_join else None, gone_by, cut_at)


def _sightings(placed: _Placed, events: list[Happening]) -> tuple[datetime | None, datetime | None]:
    """By when it was seen to be over, and when it was last seen waiting."""
    among = [each for each in (*placed.before, placed.stretch, *placed.after) if each.enqueue is not None]
    sightings = [each for each in events if each.event_type == SEEN_WAITING and _seen_in(each, among) is placed.stretch]
    gone_by = min((each.over for each in sightings if each.present is False and each.over), default=None)
    return gone_by, max((each.over for each in sightings if each.present and each.over), default=None)


def _seen_in(seen: Happening, among: list[_Stretch]) -> _Stretch | None:
    """The nearest of those visits that the call was seen in."""
    near_enough = [
        (between(each.enqueue.at, seen.began), each.enqueue.at, each.first.event_id, each)
        for each in among
        if each.enqueue and each.said("queue") == seen.queue and near(each.enqueue.at, seen.began)
    ]
    return min(near_enough, key=lambda found: found[:3], default=(None,))[-1]


def _outcome(reason: str | None, confirmed: bool, over_where_bridges_are_heard: bool) -> str:
    if reason == "bridging-in-process" and not confirmed and over_where_bridges_are_heard:
        return "failed_bridge"
    return {
        "bridged": "answered",
        "bridging-in-process": "answered",
        "hangup": "abandoned",
        "timeout": "timed_out",
        "leave": "left",
    }.get(reason or "", "unknown")
