"""The rules of METRICS, read aloud: queue visits, stays and conferences from a list of happenings, one step at a time.

Slow and plain on purpose. Written from the definitions and not from the SQL, so that the two can disagree. Where the
definitions leave something open, the decision is said where it is taken.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import groupby, pairwise
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST_WAIT = timedelta(hours=24)
NEVER = datetime.max.replace(tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ENQUEUED, DEQUEUED, HANGUP, BRIDGED = "call.enqueued", "call.dequeued", "call.hangup", "call.bridged"
CREATED, ENDED = "conference.created", "conference.ended"
JOINED, LEFT = "conference.participant.joined", "conference.participant.left"
FLOOR, RECORDED = "conference.floor.changed", "conference.recording.saved"

INITIATED, ANSWERED, HELD, UNHELD = "call.initiated", "call.answered", "call.hold", "call.unhold"
COST, TALKED_TO_A_MACHINE = "call.cost", "call.conversation.ended"
MACHINE, MACHINE_PREMIUM = "call.machine.detection.ended", "call.machine.premium.detection.ended"

LEG_TYPES = (
    *(HANGUP, BRIDGED, INITIATED, ANSWERED, HELD, UNHELD),
    *(COST, TALKED_TO_A_MACHINE, MACHINE, MACHINE_PREMIUM),
)
"""How a leg lives, wherever it waits."""
CALL_RECORDED = "call.recording.saved"
CALL_TYPES = (CALL_RECORDED, ENQUEUED, DEQUEUED, *LEG_TYPES)
CONFERENCE_TYPES = (CREATED, ENDED, JOINED, LEFT, FLOOR, RECORDED)

SEEN_WAITING, CALL_RECORDING_SEEN = "reconciler.queue.call.observed", "reconciler.call.recording.observed"
CONFERENCE_SEEN, CONFERENCE_BILLED = "reconciler.conference.observed", "reconciler.conference.record.observed"
PERSON_SEEN = "reconciler.conference.participant.observed"
PERSON_BILLED = "reconciler.conference.participant.record.observed"
RECORDING_SEEN = "reconciler.conference.recording.observed"
SEEN_OF_CALLS = (SEEN_WAITING, CALL_RECORDING_SEEN)
SEEN_OF_ROOMS = (CONFERENCE_SEEN, CONFERENCE_BILLED, PERSON_SEEN, PERSON_BILLED, RECORDING_SEEN)
"""What the reconciler observed. Where a webhook told the same, the webhook counts."""

ORIGINS = ("webhook", "reconciler", "replay")
"""The ways in which events come, the best first."""

NEARLY = timedelta(seconds=1)
"""Times in REST are cut: as near as this they are the same."""

PLAYED = tuple(
    f"{whose}.{what}" for whose in ("call", "conference", "conference.participant") for what in ("playback", "speak")
)
PLAYBACK_TYPES = tuple(f"{what}.{which}" for what in PLAYED for which in ("started", "ended"))

RELEVANT = {*CALL_TYPES, *CONFERENCE_TYPES, *PLAYBACK_TYPES, *SEEN_OF_CALLS, *SEEN_OF_ROOMS}

OUTCOMES = {"answered", "abandoned", "timed_out", "left", "failed_bridge", "unknown", "waiting"}


@dataclass(frozen=True)
class Happening:
    """One event, once, as what it says."""

    event_id: str
    event_type: str
    at: datetime
    control_id: str | None = None
    leg_id: str | None = None
    session_id: str | None = None
    connection_id: str | None = None
    conference_id: str | None = None
    queue: str | None = None
    direction: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    reason: str | None = None
    hangup_source: str | None = None
    position: int | None = None
    reported_wait_secs: int | None = None
    cost: Decimal | None = None
    currency: str | None = None
    billed_secs: int | None = None
    result: str | None = None
    talked_secs: int | None = None
    recording_id: str | None = None
    recorded_from: datetime | None = None
    recorded_until: datetime | None = None
    creator_session_id: str | None = None
    media_url: str | None = None
    media_name: str | None = None
    channels: str | None = None
    format: str | None = None
    origin: str = "webhook"
    name: str | None = None
    region: str | None = None
    status: str | None = None
    ended_by: str | None = None
    began: datetime | None = None
    """Of something observed: since when, as it says itself; of a waiting call, when it was enqueued."""
    over: datetime | None = None
    """Of something observed: until when, or when it was last changed; of a waiting call, when it was seen."""
    present: bool | None = None
    subject: str | None = None
    """Of a participant: an id of its own."""

    @property
    def leg(self) -> str:
        """What tells one leg from another; an event that names none is of a leg of its own."""
        return self.leg_id or self.control_id or self.event_id

    @property
    def entity(self) -> str:
        """The leg that a call event is about, the conference that a conference event is about."""
        about_conference = self.event_type.startswith(("conference.", "reconciler.conference."))
        return (about_conference and self.conference_id) or self.leg


@dataclass(frozen=True)
class Visit:
    """A row of `queue_visits`, without the columns that serve only its storage."""

    visit_id: str
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    connection_id: str | None
    queue: str | None
    from_number: str | None
    to_number: str | None
    enqueued_at: datetime | None
    enqueued_at_source: str | None
    left_at: datetime | None
    left_at_latest: datetime | None
    seen_waiting_at: datetime | None
    wait_ms: int | None
    in_queue_ms: int | None
    reported_wait_secs: int | None
    reason: str | None
    outcome: str
    answer_confirmed: bool | None
    position_in: int | None
    position_out: int | None
    revision: int
    origins: str = ""


@dataclass(frozen=True)
class Stay:
    """A row of `participant_stays`."""

    stay_id: str
    conference_id: str
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    joined_at: datetime | None
    joined_at_source: str | None
    left_at: datetime | None
    left_at_source: str | None
    left_at_latest: datetime | None
    duration_ms: int | None
    floor_ms: int
    revision: int
    origins: str = ""


@dataclass(frozen=True)
class Conference:
    """A row of `conferences`."""

    conference_id: str
    name: str | None
    region: str | None
    connection_id: str | None
    call_session_id: str | None
    created_at: datetime | None
    created_at_source: str | None
    ended_at: datetime | None
    ended_at_source: str | None
    ended_at_latest: datetime | None
    duration_ms: int | None
    status: str
    end_reason: str | None
    end_reason_source: str | None
    ended_by: str | None
    participants: int
    unique_participants: int
    peak_participants: int
    participant_ms: int
    floor_changes: int
    recordings: int
    revision: int
    origins: str = ""


@dataclass(frozen=True)
class Leg:
    """A row of `calls`."""

    call_leg_id: str | None
    call_control_id: str | None
    call_session_id: str | None
    connection_id: str | None
    direction: str | None
    from_number: str | None
    to_number: str | None
    initiated_at: datetime | None
    answered_at: datetime | None
    bridged_at: datetime | None
    ended_at: datetime | None
    status: str
    hangup_cause: str | None
    hangup_source: str | None
    ring_ms: int | None
    talk_ms: int | None
    holds: int
    hold_ms: int
    cost: Decimal | None
    currency: str | None
    billed_secs: int | None
    machine_result: str | None
    conversation_ms: int | None
    conversation_reason: str | None
    revision: int
    origins: str = ""


@dataclass(frozen=True)
class Recording:
    """A row of `recordings`."""

    recording_id: str
    kind: str
    conference_id: str | None
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    connection_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    channels: str | None
    format: str | None
    source: str
    revision: int
    origins: str = ""


@dataclass(frozen=True)
class Playback:
    """A row of `playbacks`."""

    playback_id: str
    kind: str
    scope: str
    conference_id: str | None
    call_control_id: str | None
    call_leg_id: str | None
    call_session_id: str | None
    connection_id: str | None
    media_url: str | None
    media_name: str | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    revision: int
    origins: str = ""


@dataclass(frozen=True)
class Facts:
    """All that follows from a list of happenings."""

    calls: list[Leg]
    queue_visits: list[Visit]
    participant_stays: list[Stay]
    conferences: list[Conference]
    recordings: list[Recording]
    playbacks: list[Playback]


TABLES: dict[str, type] = {
    "calls": Leg,
    "queue_visits": Visit,
    "participant_stays": Stay,
    "conferences": Conference,
    "recordings": Recording,
    "playbacks": Playback,
}


def facts(happenings: Iterable[Happening], *, judged_at: datetime) -> Facts:
    """What follows from `happenings`, each given once, in the eyes of somebody whose clock says `judged_at`."""
    known = list(happenings)
    bridges_heard: set[str | None] = {
        each.connection_id for each in known if each.event_type == BRIDGED and each.connection_id
    }
    found = Facts([], [], [], [], [], [])
    for life in _lives(each for each in known if each.event_type in RELEVANT):
        origins = ",".join(sorted({each.origin for each in life}))
        for table, rows in _of_life(life, bridges_heard, judged_at).items():
            getattr(found, table).extend(replace(row, origins=origins) for row in rows)
    return found


def _of_life(life: list[Happening], bridges_heard: set[str | None], judged_at: datetime) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {
        "calls": _calls([each for each in life if each.event_type in LEG_TYPES and (each.leg_id or each.control_id)]),
        "queue_visits": _visits(
            [each for each in life if each.event_type in (*CALL_TYPES, SEEN_WAITING)], bridges_heard, judged_at
        ),
        "recordings": _recordings(
            [each for each in life if each.event_type in (RECORDED, CALL_RECORDED, RECORDING_SEEN, CALL_RECORDING_SEEN)]
        ),
        "playbacks": _playbacks([each for each in life if each.event_type in PLAYBACK_TYPES]),
    }
    meeting = [each for each in life if each.event_type in (*CONFERENCE_TYPES, *SEEN_OF_ROOMS) and each.conference_id]
    if meeting:
        there = _presences(meeting)
        found["participant_stays"] = _stays(meeting, there)
        found["conferences"] = [_conference(meeting, there)]
    return found


def columns(of: type) -> list[str]:
    """The columns that the rules determine."""
    return [field.name for field in fields(of)]


def ms(earlier: datetime | None, later: datetime | None) -> int | None:
    """Whole milliseconds between two instants, each cut to the millisecond first."""
    if earlier is None or later is None:
        return None
    millisecond = timedelta(milliseconds=1)
    return (later - EPOCH) // millisecond - (earlier - EPOCH) // millisecond


def _lives(happenings: Iterable[Happening]) -> Iterator[list[Happening]]:
    """Each entity's happenings in time order, apart where more than the longest wait lies between two of them."""
    by_entity: defaultdict[str, list[Happening]] = defaultdict(list)
    for each in happenings:
        by_entity[each.entity].append(each)
    for story in by_entity.values():
        story.sort(key=lambda each: (each.at, each.event_id))
        life = story[:1]
        for before, after in pairwise(story):
            if after.at - before.at > LONGEST_WAIT:
                yield life
                life = []
            life.append(after)
        yield life


@dataclass(frozen=True)
class _Pair:
    """An opening with its closing. `reopened_at`: when it was opened once more, its own closing having been lost."""

    opening: Happening | None
    closing: Happening | None
    reopened_at: datetime | None = None

    def first(self, name: str) -> str | None:
        """What the opening says, else the closing."""
        said = (getattr(each, name) for each in (self.opening, self.closing) if each is not None)
        found = [value for value in said if value is not None]
        return found[0] if found else None

    @property
    def pair_id(self) -> str:
        pair_id = self.first("event_id")
        assert pair_id is not None
        return pair_id


def _walked(edges: list[Happening], opening_type: str) -> list[_Pair]:
    """Walk in time order. At one instant what is open is closed first; with nothing open, something opens first."""
    pairs: list[_Pair] = []
    is_open: Happening | None = None
    for moment, together in groupby(sorted(edges, key=lambda each: (each.at, each.event_id)), lambda each: each.at):
        at_once = list(together)
        openings = [each for each in at_once if each.event_type == opening_type]
        closings = [each for each in at_once if each.event_type != opening_type]
        while openings or closings:
            if is_open is not None and closings:
                pairs.append(_Pair(is_open, closings.pop(0)))
                is_open = None
            elif openings:
                if is_open is not None:
                    pairs.append(_Pair(is_open, None, reopened_at=moment))
                is_open = openings.pop(0)
            else:
                pairs.append(_Pair(None, closings.pop(0)))
    if is_open is not None:
        pairs.append(_Pair(is_open, None))
    return pairs


def _by(key: Callable[[Happening], object], happenings: Iterable[Happening]) -> list[list[Happening]]:
    groups: defaultdict[object, list[Happening]] = defaultdict(list)
    for each in happenings:
        groups[key(each)].append(each)
    return list(groups.values())


@dataclass(frozen=True)
class _Wait:
    """A pair in a queue, and when it began as far as anybody said."""

    pair: _Pair
    enqueued_at: datetime | None
    source: str | None
    begun_at: datetime
    """The enqueue; where nobody said when that was, the dequeue, for finding what followed."""

    @property
    def over_at(self) -> datetime:
        return self.pair.closing.at if self.pair.closing else self.pair.reopened_at or NEVER


def _visits(events: list[Happening], bridges_heard: set[str | None], judged_at: datetime) -> list[Visit]:
    """The visits of one leg."""
    moves = [each for each in events if each.event_type in (ENQUEUED, DEQUEUED)]
    moves += _told_by_waiting(events)
    pairs = [pair for moves_here in _by(lambda each: each.queue, moves) for pair in _walked(moves_here, ENQUEUED)]
    # Visits that begin and end together are told apart by nothing but their ids.
    waits = sorted(map(_wait, pairs), key=lambda wait: (wait.begun_at, wait.over_at, wait.pair.pair_id))
    beginnings = [wait.begun_at for wait in waits[1:]]
    return [
        _visit(wait, next_begins, events, bridges_heard, judged_at)
        for wait, next_begins in zip(waits, [*beginnings, NEVER], strict=False)
    ]


def _near(one: datetime | None, other: datetime | None, within: timedelta = NEARLY) -> bool:
    """Whether they are the same, as far as cut times can tell; compared in whole milliseconds."""
    between = ms(one, other)
    return between is not None and abs(between) <= within // timedelta(milliseconds=1)


def _told_by_waiting(events: list[Happening]) -> list[Happening]:
    """The enqueues that only a call's waiting tells: one for each time of which no webhook told."""
    found: list[Happening] = []
    seen = [each for each in events if each.event_type == SEEN_WAITING and each.present and _named(each)]
    for same in _by(lambda each: (each.leg, each.queue, each.began), seen):
        first = min(same, key=lambda each: each.event_id)
        heard = [
            each.at
            for each in events
            if each.event_type == ENQUEUED and _named(each) and (each.leg, each.queue) == (first.leg, first.queue)
        ]
        if first.began is not None and not any(_near(at, first.began) for at in heard):
            found.append(replace(first, event_type=ENQUEUED, at=first.began, status="rest"))
    return found


def _named(each: Happening) -> bool:
    return bool(each.leg_id or each.control_id)


def _wait(pair: _Pair) -> _Wait:
    if pair.opening is not None and pair.opening.status == "rest":
        return _Wait(pair, pair.opening.at, "rest", pair.opening.at)
    if pair.opening is not None:
        return _Wait(pair, pair.opening.at, "observed", pair.opening.at)
    assert pair.closing is not None
    if pair.closing.reported_wait_secs is None:
        return _Wait(pair, None, None, pair.closing.at)
    reported = pair.closing.at - timedelta(seconds=pair.closing.reported_wait_secs)
    return _Wait(pair, reported, "reported", reported)


def _calls(events: list[Happening]) -> list[Leg]:
    """The one leg whose life this is, or none."""
    if not events:
        return []
    initiations = [each for each in events if each.event_type == INITIATED]
    initiated_at, answered_at, bridged_at = (
        min((each.at for each in events if each.event_type == event_type), default=None)
        for event_type in (INITIATED, ANSWERED, BRIDGED)
    )
    hangups = [each for each in events if each.event_type == HANGUP]
    ended_at = hangups[-1].at if hangups else None
    numbers = _told_numbers(events)
    over = hangups or any(each.event_type == COST for each in events)
    bill = _last([each for each in events if each.event_type == COST and each.cost is not None])
    talks = [each for each in events if each.event_type == TALKED_TO_A_MACHINE]
    holds = _walked([each for each in events if each.event_type in (HELD, UNHELD)], HELD)
    machines = [each.result for each in events if each.event_type in (MACHINE, MACHINE_PREMIUM)]
    lengths = [each.talked_secs for each in talks if each.talked_secs is not None]
    return [
        Leg(
            call_leg_id=_least("leg_id", events),
            call_control_id=_least("control_id", events),
            call_session_id=_least("session_id", initiations) or _least("session_id", events),
            connection_id=_least("connection_id", initiations) or _least("connection_id", events),
            direction=_least("direction", events),
            from_number=numbers.from_number if numbers else None,
            to_number=numbers.to_number if numbers else None,
            initiated_at=initiated_at,
            answered_at=answered_at,
            bridged_at=bridged_at,
            ended_at=ended_at,
            status="ended" if over else "in_progress" if len(events) > len(initiations) else "ringing",
            hangup_cause=_last([each.reason for each in hangups if each.reason is not None]),
            hangup_source=_last([each.hangup_source for each in hangups if each.hangup_source is not None]),
            ring_ms=_forward(initiated_at, answered_at),
            talk_ms=_forward(bridged_at, ended_at),
            holds=len(holds),
            hold_ms=sum(_hold_ms(hold, ended_at) or 0 for hold in holds),
            cost=bill.cost if bill else None,
            currency=bill.currency if bill else None,
            billed_secs=bill.billed_secs if bill else None,
            machine_result=_last([result for result in machines if result is not None]),
            conversation_ms=1000 * sum(lengths) if lengths else None,
            conversation_reason=_last([each.reason for each in talks if each.reason is not None]),
            revision=len(events),
        )
    ]


def _hold_ms(hold: _Pair, ended_at: datetime | None) -> int | None:
    """Up to the unhold, else to the leg's end; unknown where the leg was held once more meanwhile."""
    if hold.opening is None or hold.reopened_at is not None:
        return None
    return _forward(hold.opening.at, hold.closing.at if hold.closing else ended_at)


def _forward(earlier: datetime | None, later: datetime | None) -> int | None:
    """As `ms`, and unknown where time would run backwards."""
    return ms(earlier, later) if earlier is not None and later is not None and earlier <= later else None


def _last(told: list[T]) -> T | None:
    return told[-1] if told else None


def _told_numbers(events: list[Happening]) -> Happening | None:
    """The first initiation that names a number, else whatever else of the leg's life does so first."""
    telling = [each for each in events if each.event_type in LEG_TYPES and (each.from_number or each.to_number)]
    return min(telling, key=lambda each: (each.event_type != INITIATED, each.at, each.event_id), default=None)


def _visit(
    wait: _Wait, next_begins: datetime, events: list[Happening], bridges_heard: set[str | None], judged_at: datetime
) -> Visit:
    pair, closing = wait.pair, wait.pair.closing
    hangups = [each.at for each in events if each.event_type == HANGUP and each.at >= wait.begun_at]
    hung_up = min(hangups, default=None)
    bridges = [each.at for each in events if each.event_type == BRIDGED and wait.begun_at <= each.at < next_begins]
    confirmed = bool(bridges)
    numbers = _told_numbers(events)
    connection_id = pair.first("connection_id")
    sightings = [
        each
        for each in events
        if each.event_type == SEEN_WAITING
        and each.queue == pair.first("queue")
        and pair.opening is not None
        and _near(pair.opening.at, each.began)
    ]
    seen_waiting_at = max((each.over for each in sightings if each.present and each.over), default=None)
    gone_by = min((each.over for each in sightings if each.present is False and each.over), default=None)
    stopped_waiting = left_at = closing.at if closing else None
    hangup_decides = False
    if closing is not None:
        outcome = _outcome(closing.reason, confirmed, hung_up is not None and connection_id in bridges_heard)
        hangup_decides = outcome == "failed_bridge"
        if hung_up is not None and hung_up < closing.at:  # kept in the queue after the hangup
            outcome, stopped_waiting, hangup_decides = "abandoned", hung_up, True
    elif pair.reopened_at is not None:
        outcome = "unknown"
    elif hung_up is not None:
        outcome, stopped_waiting, left_at, hangup_decides = "abandoned", hung_up, hung_up, True
    else:
        last_seen = seen_waiting_at or wait.begun_at
        outcome = "unknown" if gone_by or last_seen <= judged_at - LONGEST_WAIT else "waiting"
    by_bridge = closing is not None and closing.reason in ("bridged", "bridging-in-process")
    rests_on = {(HANGUP, hung_up)} if hangup_decides else set()
    rests_on |= {(BRIDGED, min(bridges))} if by_bridge and confirmed else set()
    told = {(numbers.event_type, numbers.at)} if numbers else set()
    return Visit(
        visit_id=pair.pair_id,
        call_control_id=pair.first("control_id"),
        call_leg_id=pair.first("leg_id"),
        call_session_id=pair.first("session_id"),
        connection_id=connection_id,
        queue=pair.first("queue"),
        from_number=numbers.from_number if numbers else None,
        to_number=numbers.to_number if numbers else None,
        enqueued_at=wait.enqueued_at,
        enqueued_at_source=wait.source,
        left_at=left_at,
        left_at_latest=_earliest(gone_by, pair.reopened_at) if left_at is None else None,
        seen_waiting_at=seen_waiting_at if left_at is None else None,
        wait_ms=ms(wait.enqueued_at, stopped_waiting),
        in_queue_ms=ms(wait.enqueued_at, left_at),
        reported_wait_secs=closing.reported_wait_secs if closing else None,
        reason=closing.reason if closing else None,
        outcome=outcome,
        answer_confirmed=confirmed if by_bridge else None,
        position_in=pair.opening.position if pair.opening else None,
        position_out=closing.position if closing else None,
        revision=(pair.opening is not None) + (closing is not None) + len(rests_on | told),
    )


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((each for each in instants if each is not None), default=None)


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


@dataclass(frozen=True)
class _Presence:
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
    rests_on: int

    @property
    def over_at(self) -> datetime:
        """When it was over at the latest: a leg that joins again was gone by then."""
        return self.left_at or self.left_at_latest or NEVER

    @property
    def leave_at(self) -> datetime | None:
        """When the leg left by itself."""
        return self.left_at if self.left_at_source in ("webhook", "detail_record") else None


@dataclass(frozen=True)
class _End:
    """When a conference was over, who says so, and by when it was where nobody does."""

    at: datetime | None
    source: str | None
    latest: datetime | None
    seen: bool


def _end(events: list[Happening]) -> _End:
    heard = max((each.at for each in events if each.event_type == ENDED), default=None)
    billed = max((each.over for each in events if each.event_type == CONFERENCE_BILLED and each.over), default=None)
    completed = [each for each in events if each.event_type == CONFERENCE_SEEN and each.status == "completed"]
    latest = min((each.over for each in completed if each.over), default=None)
    if heard is not None:
        return _End(heard, "webhook", None, bool(completed))
    if billed is not None:
        return _End(billed, "detail_record", None, bool(completed))
    return _End(None, None, latest, bool(completed))


def _presences(events: list[Happening]) -> list[_Presence]:
    end = _end(events)
    moves = [each for each in events if each.event_type in (JOINED, LEFT)]
    bills = _billed(events)
    seen = _seen_people(events)
    gone_by = {leg: max(gone) if all(gone) else None for leg, gone in seen.items()}  # type: ignore[type-var]
    found: list[_Presence] = []
    taken: set[str] = set()
    for moves_of_leg in _by(lambda each: each.leg, moves):
        for pair in _walked(moves_of_leg, JOINED):
            leg = moves_of_leg[0].leg
            bill = _bill_of(pair, [each for each in bills if each.leg == leg])
            taken |= {each.event_id for each in bills if each.leg == leg and _same_stay(pair, each)}
            found.append(_presence(pair, leg, bill, end, gone_by.get(leg)))
    unmatched = [bill for bill in bills if bill.event_id not in taken]
    found += [_presence(None, bill.leg, bill, end, gone_by.get(bill.leg)) for bill in unmatched]
    for leg, told in _by_leg(events).items():
        if leg not in {each.leg for each in found}:
            bounds = (gone_by[leg], end.at or end.latest)
            ids = (told.control_id, told.leg_id, None)
            found.append(_Presence(told.event_id, leg, ids, None, None, None, None, _earliest(*bounds), 1))
    return found


def _billed(events: list[Happening]) -> list[Happening]:
    """The records of who was there, each as it was told last."""
    bills = [each for each in events if each.event_type == PERSON_BILLED and _named(each)]
    same = _by(lambda each: (each.leg, each.subject or each.event_id), bills)
    return [max(told, key=lambda each: (each.at, each.event_id)) for told in same]


def _last_seen(events: list[Happening]) -> list[Happening]:
    """The participants that were seen, each as it was last."""
    people = [each for each in events if each.event_type == PERSON_SEEN and _named(each)]
    same = _by(lambda each: (each.leg, each.subject or each.event_id), people)
    return [max(told, key=lambda each: (each.over is None, each.over or EPOCH, each.event_id)) for told in same]


def _seen_people(events: list[Happening]) -> dict[str, list[datetime | None]]:
    """For each leg, by when each of its participants was gone."""
    found: defaultdict[str, list[datetime | None]] = defaultdict(list)
    for each in _last_seen(events):
        found[each.leg].append(each.over if each.status == "left" else None)
    return found


def _by_leg(events: list[Happening]) -> dict[str, Happening]:
    """For each leg that was seen, the first by its id."""
    return {each.leg: each for each in sorted(_last_seen(events), key=lambda each: each.event_id, reverse=True)}


def _same_stay(pair: _Pair, bill: Happening) -> bool:
    two = timedelta(seconds=2)
    joined = pair.opening is not None and _near(pair.opening.at, bill.began, two)
    return joined or (pair.closing is not None and _near(pair.closing.at, bill.over, two))


def _bill_of(pair: _Pair, bills: list[Happening]) -> Happening | None:
    """The record of that stay, the earliest should there be more than one."""
    return min(
        (each for each in bills if _same_stay(pair, each)),
        key=lambda each: (each.began or NEVER, each.over or NEVER, each.event_id),
        default=None,
    )


def _presence(pair: _Pair | None, leg: str, bill: Happening | None, end: _End, gone_by: datetime | None) -> _Presence:
    opening, closing = (pair.opening, pair.closing) if pair else (None, None)
    joined_at, joined_at_source = (opening.at, "webhook") if opening else (None, None)
    if joined_at is None and bill and bill.began and (closing is None or bill.began <= closing.at):
        joined_at, joined_at_source = bill.began, "detail_record"
    reopened_at = pair.reopened_at if pair else None
    ended_at = end.at if joined_at and end.at and end.at >= joined_at else None
    billed = bill.over if bill and bill.over and (joined_at is None or bill.over >= joined_at) else None
    before_the_end = ended_at is None or (billed is not None and _second(billed) < _second(ended_at))
    left_at: datetime | None = None
    left_at_source: str | None = None
    if closing is not None:
        left_at, left_at_source = closing.at, "webhook"
    elif billed is not None and (reopened_at is not None or before_the_end):
        left_at, left_at_source = billed, "detail_record"
    elif reopened_at is None and ended_at is not None:
        left_at, left_at_source = ended_at, "conference"
    bounds = [at for at in (gone_by, end.latest) if at is not None and (joined_at is None or at >= joined_at)]
    bounds += [end.at] if joined_at is None and end.at is not None else []
    told = pair if pair is not None else _Pair(bill, None)
    return _Presence(
        stay_id=told.pair_id,
        leg=leg,
        ids=(told.first("control_id") if pair else None, told.first("leg_id"), told.first("session_id")),
        joined_at=joined_at,
        joined_at_source=joined_at_source,
        left_at=left_at,
        left_at_source=left_at_source,
        left_at_latest=_earliest(reopened_at, *bounds) if left_at is None else None,
        rests_on=sum((opening is not None, closing is not None, bill is not None, left_at_source == "conference")),
    )


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _stays(events: list[Happening], there: list[_Presence]) -> list[Stay]:
    held: defaultdict[str, list[int]] = defaultdict(list)
    changes = [each for each in events if each.event_type == FLOOR]
    ended_at = _end(events).at
    for number, change in enumerate(changes):
        if change.leg_id is None and change.control_id is None:
            continue  # somebody speaks, and nobody said who
        of_speaker = [each for each in there if each.leg == change.leg and each.over_at >= change.at]
        lost = [each.leave_at for each in of_speaker if each.leave_at is not None and each.leave_at >= change.at]
        lost += [after.at for after in changes[number + 1 : number + 2]]
        lost += [ended_at] if ended_at is not None and ended_at >= change.at else []
        lasting = [each for each in of_speaker if each.joined_at is None or each.over_at > each.joined_at]
        if lasting:
            soonest = min(each.over_at for each in lasting)
            # Of stays that end together, the last id: nothing else tells them apart.
            mine = max(each.stay_id for each in lasting if each.over_at == soonest)
            held[mine].append(ms(change.at, min(lost)) or 0 if lost else 0)
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
            revision=each.rests_on + len(held[each.stay_id]),
        )
        for each in there
    ]


def _conference(events: list[Happening], there: list[_Presence]) -> Conference:
    """From the first creation to the last end, should more than one of either be told."""
    creations = [each for each in events if each.event_type == CREATED]
    end = _end(events)
    listed = [each for each in events if each.event_type == CONFERENCE_SEEN]
    billed = [each for each in events if each.event_type == CONFERENCE_BILLED]
    beginnings = (
        (min((each.at for each in creations), default=None), "webhook"),
        (min((each.began for each in billed if each.began), default=None), "detail_record"),
        (min((each.began for each in listed if each.began), default=None), "rest"),
    )
    created_at, created_at_source = next(((at, source) for at, source in beginnings if at), (None, None))
    reasons = [each.reason for each in events if each.event_type == ENDED and each.reason is not None]
    last = max((each for each in listed if each.status == "completed"), key=_newest, default=None)
    told = max(listed, key=_newest, default=None) or max(billed, key=lambda each: each.event_id, default=None)
    in_time = created_at is not None and end.at is not None and end.at >= created_at
    saved = {each.recording_id for each in events if each.event_type == RECORDED}
    listed_only = {each.recording_id for each in events if each.event_type == RECORDING_SEEN} - saved - {None}
    reason = reasons[-1] if reasons else last.reason if last else None
    return Conference(
        conference_id=events[0].conference_id or "",
        name=told.name if told else None,
        region=told.region if told else None,
        connection_id=_least("connection_id", creations) or _least("connection_id", events),
        call_session_id=_least("session_id", creations) or _least("session_id", events),
        created_at=created_at,
        created_at_source=created_at_source,
        ended_at=end.at,
        ended_at_source=end.source,
        ended_at_latest=end.latest,
        duration_ms=ms(created_at, end.at) if in_time else None,
        status="completed" if end.at or end.seen else "in_progress",
        end_reason=reason,
        end_reason_source="webhook" if reasons else "rest" if reason is not None else None,
        ended_by=last.ended_by if last else None,
        participants=len(there),
        unique_participants=len({each.leg for each in there}),
        peak_participants=_peak(there),
        participant_ms=sum(ms(each.joined_at, each.left_at) or 0 for each in there),
        floor_changes=sum(each.event_type == FLOOR for each in events),
        recordings=sum(each.event_type == RECORDED for each in events) + len(listed_only),
        revision=len(events),
    )


def _newest(each: Happening) -> tuple[bool, datetime, str]:
    """What was changed last; that which does not say when is taken for newest."""
    return each.over is None, each.over or EPOCH, each.event_id


def _recordings(events: list[Happening]) -> list[Recording]:
    """Each as it was told last, by a webhook where one did; one that has no id of its own goes by the event's."""
    heard = [each for each in events if each.event_type in (RECORDED, CALL_RECORDED)]
    seen = [each for each in events if each.event_type in (RECORDING_SEEN, CALL_RECORDING_SEEN)]
    counting = heard + [each for each in seen if not any(_same_recording(each, other) for other in heard)]
    return [
        Recording(
            recording_id=last.recording_id or last.event_id,
            kind=_kind_of_recording(last),
            conference_id=last.conference_id,
            call_control_id=last.control_id,
            call_leg_id=last.leg_id,
            call_session_id=last.session_id,
            connection_id=last.connection_id,
            started_at=last.recorded_from,
            ended_at=last.recorded_until,
            duration_ms=_forward(last.recorded_from, last.recorded_until),
            channels=last.channels,
            format=last.format,
            source="webhook" if last in heard else "rest",
            revision=len(tellings),
        )
        for tellings in _by(lambda each: (each.event_type, each.recording_id or each.event_id), counting)
        for last in tellings[-1:]
    ]


def _kind_of_recording(each: Happening) -> str:
    return "conference" if each.event_type in (RECORDED, RECORDING_SEEN) else "call"


def _same_recording(seen: Happening, heard: Happening) -> bool:
    if _kind_of_recording(seen) != _kind_of_recording(heard):
        return False
    if (seen.recording_id or seen.event_id) == (heard.recording_id or heard.event_id):
        return True
    of_call = _kind_of_recording(seen) == "call"
    return of_call and seen.leg_id == heard.leg_id and _near(heard.recorded_from, seen.recorded_from)


def _playbacks(events: list[Happening]) -> list[Playback]:
    """Starts with their ends, by what was played to whom. In a conference that nobody names, nothing plays."""
    named = [each for each in events if each.event_type.startswith("call.") or each.conference_id]
    found: list[Playback] = []
    for what in PLAYED:
        scope = {"call": "call", "conference.participant": "participant"}.get(what.rpartition(".")[0], "conference")
        kind = what.rpartition(".")[2]
        ours = [each for each in named if each.event_type.rpartition(".")[0] == what]
        for told in _by(partial(_played_to, scope=scope, kind=kind), ours):
            found += [_playback(pair, kind, scope) for pair in _walked(told, f"{what}.started")]
    return found


def _played_to(each: Happening, *, scope: str, kind: str) -> tuple[str | None, str | None]:
    medium = (each.media_url or each.media_name) if kind == "playback" else None
    return None if scope == "conference" else each.leg, medium


def _playback(pair: _Pair, kind: str, scope: str) -> Playback:
    started_at = pair.opening.at if pair.opening else None
    ended_at = pair.closing.at if pair.closing else None
    return Playback(
        playback_id=pair.pair_id,
        kind=kind,
        scope=scope,
        conference_id=pair.first("conference_id"),
        call_control_id=pair.first("control_id"),
        call_leg_id=pair.first("leg_id"),
        call_session_id=pair.first("session_id") or pair.first("creator_session_id"),
        connection_id=pair.first("connection_id"),
        media_url=pair.first("media_url"),
        media_name=pair.first("media_name"),
        started_at=started_at,
        ended_at=ended_at,
        duration_ms=ms(started_at, ended_at),
        revision=(pair.opening is not None) + (pair.closing is not None),
    )


def _least(name: str, events: list[Happening]) -> str | None:
    said: list[str] = [value for each in events if (value := getattr(each, name)) is not None]
    return min(said, default=None)


def _peak(there: list[_Presence]) -> int:
    """The most at any moment; it can only be at somebody's joining, when those who leave then are gone already."""
    present = [
        (each.joined_at, each.over_at) for each in there if each.joined_at is not None and each.over_at > each.joined_at
    ]
    return max((sum(joined <= moment < over for joined, over in present) for moment, _ in present), default=0)
