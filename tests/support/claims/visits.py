"""What queue visits may claim where events were lost."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from simulator.history import (
    Fate,
    Leg,
    Visit,
)
from tests.support.claims.claim import Claim, Decided, Losses, Rows, instant, length_ms, micros

SECOND = 1_000_000


@dataclass(frozen=True)
class Reading:
    """What a rule makes of a visit: its outcome, when it left the queue, until when the caller waited."""

    why: Decided
    outcome: str
    left: int | None
    until: int | None


@dataclass
class _Way:
    """A leg's way through its queues: what is left of it. A visit is told by its enqueue, by its dequeue or by both.

    `closes` and `repeats` have, for each visit, those later ones of which only the dequeue came, which is taken for
    the end of this one, or for a repetition of its end.
    """

    losses: Losses
    leg: Leg
    visits: list[Visit]

    def __post_init__(self) -> None:
        self.bridges = self.losses.moments("call.bridged", self.leg.leg_id)
        self.hung_up = next(iter(self.losses.moments("call.hangup", self.leg.leg_id)), None)
        self.opened = {visit.visit_id for visit in self.visits if visit.visit_id in self.losses.arrived}
        told = {(event.at, _queue(event.body)) for event in self.losses.came("call.dequeued", self.leg.leg_id)}
        self.closed = {visit.visit_id for visit in self.visits if (visit.left, visit.queue) in told}
        self.heard = sorted(
            [*self.bridges, *(at for at, _ in told), *(each.enqueued for each in self.visits if self.is_opened(each))]
        )
        self.closes: dict[str, Visit] = {}
        self.repeats: defaultdict[str, list[Visit]] = defaultdict(list)
        for queue in {visit.queue for visit in self.visits}:
            self._walk([each for each in self.visits if each.queue == queue])

    def _walk(self, visits: list[Visit]) -> None:
        """Walk through one queue, and give dequeues away to visits that are not theirs, as METRICS has it."""
        last: Visit | None = None
        left: int | None = None
        for visit in visits:
            at_once = visit.enqueued == visit.left and self.is_opened(visit)
            if self.is_closed(visit) and (at_once or not self.is_opened(visit)):
                if last is not None and left is None and (at_once or not self._is_elsewhere(last.enqueued, visit)):
                    self.closes[last.visit_id] = visit
                    self.closed.discard(visit.visit_id)
                    left = visit.left
                elif last is not None and left is not None and not at_once and _began_after(visit) < left:
                    self.repeats[last.visit_id].append(visit)
                    self.closed.discard(visit.visit_id)
                    left = visit.left
            if self.is_opened(visit) or self.is_closed(visit):
                last, left = visit, visit.left if self.is_closed(visit) else None

    def _is_elsewhere(self, since: int, visit: Visit) -> bool:
        """Whether something was heard of the leg between then and the beginning that the visit's dequeue tells."""
        return any(since < at <= _began_after(visit) for at in self.heard)

    def is_out_of_order(self, sooner: Visit, visit: Visit) -> bool:
        """Whether the one lost its enqueue, the other its dequeue, and they are taken for one."""
        alone = self.is_closed(sooner) and not self.is_opened(sooner) and not self.is_closed(visit)
        return alone and 0 < visit.enqueued - sooner.left <= SECOND and _secs(sooner) <= 1

    def is_opened(self, visit: Visit) -> bool:
        return visit.visit_id in self.opened

    def is_closed(self, visit: Visit) -> bool:
        return visit.visit_id in self.closed

    def after(self, visit: Visit) -> list[Visit]:
        """Those that came later and of which something was heard."""
        later = self.visits[self.visits.index(visit) + 1 :]
        return [each for each in later if self.is_opened(each) or self.is_closed(each)]

    def before(self, visit: Visit) -> list[Visit]:
        """Those that came sooner and of which something was heard, the last first."""
        sooner = self.visits[: self.visits.index(visit)]
        return [each for each in reversed(sooner) if self.is_opened(each) or self.is_closed(each)]

    def next_start(self, visit: Visit) -> int | None:
        """From when on what is heard is of a later visit."""
        return next((self.start(each) for each in self.after(visit)), None)

    def start(self, visit: Visit) -> int:
        """Its beginning as far as it was told: a dequeue without an enqueue tells it to the second."""
        return visit.enqueued if self.is_opened(visit) else visit.left - _secs(visit) * SECOND

    def bridge(self, visit: Visit, since: int) -> int | None:
        """The first bridge that was heard before anything of a later visit."""
        until = self.next_start(visit)
        return next((at for at in self.bridges if since <= at and (until is None or at < until)), None)


def _queue(body: bytes) -> str:
    event = json.loads(body)
    return str(event.get("data", event)["payload"]["queue"])


def _began_after(visit: Visit) -> int:
    """What its dequeue's own seconds, which are cut, say of its beginning."""
    return visit.left - (_secs(visit) + 1) * SECOND


def _secs(visit: Visit) -> int:
    return (visit.left - visit.enqueued) // SECOND


def _true_outcome(visit: Visit) -> str:
    return "failed_bridge" if visit.fate is Fate.NOT_PICKED_UP else str(visit.fate)


def _outcome(dequeue: Visit, bridge: int | None) -> str:
    """What the reason of that visit's dequeue makes of a visit, with or without a bridge."""
    if dequeue.reason == "bridging-in-process":
        return "failed_bridge" if bridge is None else "answered"
    return {"bridged": "answered", "hangup": "abandoned", "timeout": "timed_out"}.get(dequeue.reason or "", "left")


def _readings(way: _Way, visit: Visit) -> Iterator[Reading]:
    """All that the rules may make of it. `visit` is that of which the row's own event tells."""
    end = visit if way.is_closed(visit) else way.closes.get(visit.visit_id)
    bridge, hung_up = way.bridge(visit, way.start(visit)), way.hung_up
    sooner = next((each for each in way.before(visit) if each.queue == visit.queue), visit)
    if end is None and way.is_out_of_order(sooner, visit):
        yield Reading(Decided.OUT_OF_ORDER, _outcome(sooner, bridge), visit.enqueued, visit.enqueued)
    elif bridge is not None and (end is None or (hung_up is not None and hung_up < end.left)):
        yield Reading(Decided.NEXT_BRIDGE_ANSWERS, "answered", None, None)
    elif end is None and not way.after(visit) and hung_up is not None:
        yield Reading(Decided.HANGUP_ENDS, "abandoned", hung_up, hung_up)
    elif end is not None and end is not visit and hung_up is not None and hung_up < end.left:
        yield Reading(Decided.NEXT_DEQUEUE_ENDS, "abandoned", end.left, hung_up)
    elif end is not None:
        yield from _of_dequeues(way, visit, end, bridge)


def _of_dequeues(way: _Way, visit: Visit, end: Visit, bridge: int | None) -> Iterator[Reading]:
    """What dequeues make of it: its own or the one that is taken for it (`end`), and those that repeat that."""
    for dequeue in (end, *way.repeats[visit.visit_id]):
        if end is not visit:
            why = Decided.NEXT_DEQUEUE_ENDS
        elif dequeue is not visit:
            why = Decided.TOLD_AGAIN
        elif visit.reason == "bridging-in-process":
            why = Decided.NO_BRIDGE if bridge is None else Decided.NEXT_BRIDGE_ANSWERS
        elif visit.gone is not None:
            why = Decided.NO_HANGUP
        else:
            continue  # that is true
        yield Reading(why, _outcome(dequeue, bridge), end.left, end.left)


def of_visits(losses: Losses, rows: Rows) -> Iterator[Claim]:
    """Beginning, end, bound, wait and outcome of each row. No visit has two."""
    by_leg: defaultdict[str, list[Visit]] = defaultdict(list)
    for visit in losses.world.history.visits:
        by_leg[visit.leg.leg_id].append(visit)
    ways = {leg_id: _Way(losses, visits[0].leg, visits) for leg_id, visits in by_leg.items()}
    whose = {visit.visit_id: visit for visit in losses.world.history.visits}
    dequeues = {
        event.event_id: visit
        for leg_id, visits in by_leg.items()
        for event in losses.came("call.dequeued", leg_id)
        for visit in visits
        if (visit.left, visit.queue) == (event.at, _queue(event.body))
    }
    told: set[str] = set()
    for row in rows:
        visit = whose.get(row["visit_id"]) or dequeues[row["visit_id"]]
        assert visit.visit_id not in told, f"visit {visit.visit_id} has two rows"
        told.add(visit.visit_id)
        yield from _of_visit(ways[visit.leg.leg_id], visit, row)


def _of_visit(way: _Way, visit: Visit, row: dict[str, object]) -> Iterator[Claim]:
    name = f"visit {visit.visit_id}"
    readings = list(_readings(way, visit))
    begun = row["enqueued_at"]
    begun_us = micros(begun) if isinstance(begun, datetime) else None
    is_cut = (
        begun_us is not None and row["enqueued_at_source"] == "reported" and 0 <= begun_us - visit.enqueued < SECOND
    )
    cut = (Decided.REPORTED,) if is_cut else ()
    until = visit.left if visit.gone is None else visit.gone

    def why(**said: object) -> tuple[Decided, ...]:
        return tuple(
            each.why for each in readings if all(getattr(each, field) == value for field, value in said.items())
        )

    yield Claim("beginning", name, begun, instant(visit.enqueued), cut)
    outcome = str(row["outcome"])
    unconfirmed = outcome == "answered" and row["answer_confirmed"] is False
    yield Claim("outcome", name, outcome, _true_outcome(visit), why(outcome=outcome), marked=unconfirmed)
    left = row["left_at"]
    left_us = micros(left) if isinstance(left, datetime) else None
    yield Claim("end", name, left, instant(visit.left), why(left=left_us))
    if row["left_at_latest"] is not None:
        yield Claim("bound", name, row["left_at_latest"], instant(visit.left))
    wait = row["wait_ms"]
    excused = cut if wait == length_ms(begun_us, until) else ()
    for each in readings:
        if wait == length_ms(begun_us, each.until):
            excused = (*excused, each.why)
    yield Claim("duration", name, wait, length_ms(visit.enqueued, until), excused)
