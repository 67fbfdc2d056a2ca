"""Arbitrary histories of a few legs and conferences, and arbitrary ways in which their webhooks arrive."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.support.builders import (
    NOON,
    SHAPES,
    Event,
    Shape,
)
from tests.support.model.happening import (
    CALL_RECORDED,
    CALL_RECORDING_SEEN,
    CONFERENCE_BILLED,
    CONFERENCE_SEEN,
    CONFERENCE_TYPES,
    COST,
    DEQUEUED,
    ENDED,
    ENQUEUED,
    HANGUP,
    INITIATED,
    LEG_TYPES,
    MACHINE,
    MACHINE_PREMIUM,
    ORIGINS,
    PERSON_BILLED,
    PERSON_SEEN,
    PLAYBACK_TYPES,
    RECORDED,
    RECORDING_SEEN,
    SEEN_OF_CALLS,
    SEEN_OF_ROOMS,
    SEEN_WAITING,
    TALKED_TO_A_MACHINE,
    Happening,
)

HOUR, DAY = 3_600_000_000, 86_400_000_000

# Few instants, so that many are equal; some a hair apart, some just within or beyond the longest wait, or a month.
OFFSETS_US = (
    *(0, 0, 1_000_000, 1_000_000, 41_000_000, 41_000_000, 41_000_999, 41_001_000, 41_500_500, 46_000_000, 46_000_000),
    *(10 * HOUR, 10 * HOUR, DAY - 1, DAY, DAY + 1, 2 * DAY + 1, 2 * DAY + 2),
    *(20 * DAY, 51 * DAY, 51 * DAY + 1),
)
INSTANTS = tuple(NOON + timedelta(microseconds=offset) for offset in OFFSETS_US)
CLOCKS = (*INSTANTS, NOON + timedelta(hours=5), NOON + timedelta(days=9))
JUMPS = tuple(
    timedelta(days=days, hours=hours, microseconds=microseconds)
    for days, hours, microseconds in (
        *((0, 0, 0), (0, -1, 0), (0, 1, 0), (0, 23, 59), (1, 0, 0), (1, 0, -1), (1, 1, 0), (400, 0, 0)),
        *((-1, 0, 0), (-1, 0, 1), (-1, -1, 0), (-400, 0, 0), (-40 * 365, 0, 0)),
    )
)
"""How far a clock may be off."""
REASONS = ("bridged", "bridging-in-process", "bridging-in-process", "hangup", "timeout", "leave", "abducted", None)
CONNECTIONS = ("c1", "c2", None)
WAITS: tuple[tuple[Any, int | None], ...] = (
    *((None, None), (0, 0), (5, 5), (41, 41), ("41", 41), (3600, 3600), (90_000, 90_000)),
    *((-1, None), (10**12, None), ("soon", None)),
)
POSITIONS: tuple[tuple[Any, int | None], ...] = ((1, 1), (2, 2), ("3", 3), (None, None))
SELF_EVIDENT = {"call_control_id", "call_session_id", "client_state"}
IRRELEVANT = "call.dtmf.received"
NUMBERS = (("+12025550133", "+12025550131"), ("+12025550134", None), (None, "sip:ann@example.com"), (None, None))
SOURCES = ("caller", "callee", None)
DIRECTIONS = ("incoming", "outgoing", None)
# What rare events say, and what of it can be believed: a bill, how long somebody talked to a machine, what was heard.
BILLS: tuple[tuple[Any, dict[str, Any]], ...] = (
    ({"total_cost": None, "billed_duration_secs": None, "status": "error"}, {}),
    ({"total_cost": "a lot", "billed_duration_secs": 60}, {"billed_secs": 60}),
    ({"total_cost": "0.0106", "billed_duration_secs": "60"}, {"cost": Decimal("0.0106"), "billed_secs": 60}),
    ({"total_cost": 2, "cost_parts": [{"currency": "EUR"}]}, {"cost": Decimal(2), "currency": "EUR"}),
    ({"total_cost": "1e30", "cost_parts": "none"}, {}),
)
LENGTHS: tuple[tuple[Any, int | None], ...] = ((3, 3), ("4", 4), (0, 0), (-1, None), (None, None), ([5], None))
RESULTS = ("human", "machine", None)
STARTS: tuple[tuple[Any, datetime | None], ...] = (
    *((each.isoformat(), each) for each in INSTANTS[::3]),
    *((None, None), ("yesterday", None), (17, None)),
)
MEDIA: tuple[dict[str, str | None], ...] = (
    {"media_url": "https://example.com/a.mp3", "media_name": "a"},
    {"media_url": "https://example.com/a.mp3"},
    {"media_url": None, "media_name": "b"},
    {},
)
IN_ROOMS = ("ann", "bob", "cy", "leg-0", "leg-0", "leg-1")
"""The legs in conferences: of some, no other events are heard; some wait in queues, too."""
RECORDINGS = ("tape-1", "tape-1", "tape-2", "", None)
WAYS_TO_COME = (
    *(("webhook",), ("webhook",), ("reconciler",)),
    *(("reconciler", "webhook"), ("replay", "reconciler", "webhook"), ("replay", "reconciler")),
)
LOST_FIELDS = (
    *((), (), (), (), (), ()),
    *(("call_leg_id",), ("call_control_id",), ("call_leg_id", "call_control_id"), ("call_session_id",)),
)


@dataclass(frozen=True)
class Told:
    """A webhook, when it was received, and what it says to somebody who can read."""

    event: Event
    received_at: datetime
    happening: Happening
    origins: tuple[str, ...] = ("webhook",)
    """All ways in which it comes."""

    def __repr__(self) -> str:
        """What it was made from, in few words: Hypothesis refuses to print a falsifying example of a lot."""
        said = {name: value for name, value in self.event.payload.items() if name not in SELF_EVIDENT}
        return f"Told({self.event.event_id} {self.event.event_type} {self.happening.at:%d %H:%M:%S.%f} {said})"


class Draw(NamedTuple):
    """What chance decides about one webhook; most kinds of event say only some of it."""

    event_type: str
    at: datetime
    leg: str
    queue: str | None
    reason: str | None
    connection: str | None
    wait: tuple[Any, int | None]
    position: tuple[Any, int | None]
    numbers: tuple[str | None, str | None]
    source: str | None
    direction: str | None
    bill: tuple[dict[str, Any], dict[str, Any]]
    length: tuple[Any, int | None]
    result: str | None
    start: tuple[Any, datetime | None]
    recording: str | None
    media: dict[str, Any]
    began: datetime | None
    over: datetime | None
    status: str | None
    present: bool
    subject: str | None
    origins: tuple[str, ...]
    lost: tuple[str, ...]
    shape: Shape | None
    quirk: str | None


Words = tuple[dict[str, Any], dict[str, Any]]


def _words(draw: Draw) -> Words:
    """What an event of that type has in its payload beside its ids, and what somebody who can read learns from it."""
    reason, position, placed = {"reason": draw.reason}, *draw.position
    hangup = {"hangup_cause": draw.reason, "hangup_source": draw.source, "reason": "not where a hangup has it"}
    result: Words = ({"result": draw.result}, {"result": draw.result})
    by_type: dict[str, Words] = {
        ENQUEUED: ({"current_position": position}, {"position": placed}),
        DEQUEUED: (
            {**reason, "wait_time_secs": draw.wait[0], "queue_position": position},
            {**reason, "reported_wait_secs": draw.wait[1], "position": placed},
        ),
        HANGUP: (hangup, {**reason, "hangup_source": draw.source}),
        INITIATED: ({"direction": draw.direction}, {"direction": draw.direction}),
        COST: draw.bill,
        MACHINE: result,
        MACHINE_PREMIUM: result,
        TALKED_TO_A_MACHINE: ({**reason, "duration_sec": draw.length[0]}, {**reason, "talked_secs": draw.length[1]}),
        ENDED: (reason, reason),
        RECORDED: _recording(draw),
        CALL_RECORDED: _recording(draw),
        RECORDING_SEEN: _recording(draw),
        CALL_RECORDING_SEEN: _recording(draw),
        **_observed(draw),
    }
    if draw.event_type in PLAYBACK_TYPES:
        media = draw.media if ".playback." in draw.event_type else {}
        return {**media, "creator_call_session_id": _creator(draw)}, {**media, **_creators(draw)}
    return by_type.get(draw.event_type, ({}, {}))


def _observed(draw: Draw) -> dict[str, Words]:
    """What the reconciler's own events say, by their types."""
    began, over = (None if at is None else at.isoformat() for at in (draw.began, draw.over))
    named = {"name": draw.result, "region": draw.source}
    times = {"began": draw.began, "over": draw.over}
    status: dict[str, Any] = {"status": draw.status}
    return {
        SEEN_WAITING: (
            {"enqueued_at": began, "seen_at": over, "present": draw.present},
            {**times, "present": draw.present},
        ),
        CONFERENCE_SEEN: (
            {
                **named,
                **status,
                "end_reason": draw.reason,
                "ended_by": draw.direction,
                "created_at": began,
                "updated_at": over,
            },
            {**named, **status, **times, "reason": draw.reason, "ended_by": draw.direction},
        ),
        CONFERENCE_BILLED: ({**named, "started_at": began, "ended_at": over}, {**named, **times}),
        PERSON_SEEN: (
            {**status, "participant_id": draw.subject, "updated_at": over},
            {**status, "subject": draw.subject, "over": draw.over},
        ),
        PERSON_BILLED: (
            {"record_id": draw.subject, "joined_at": began, "left_at": over},
            {**times, "subject": draw.subject},
        ),
    }


def _creator(draw: Draw) -> str:
    return "the-creators" if draw.present else "somebody-elses"


def _creators(draw: Draw) -> dict[str, Any]:
    """What a whole conference hears is about no session but its creator's."""
    for_all = draw.event_type.startswith(("conference.playback.", "conference.speak."))
    return {"creator_session_id": _creator(draw)} if for_all else {}


def _recording(draw: Draw) -> Words:
    """A conference's recording is dated by its end, so an undated one says neither."""
    end = draw.start[1] if draw.event_type in (CALL_RECORDED, CALL_RECORDING_SEEN) else draw.at
    said: dict[str, Any] = {
        "recording_id": draw.recording,
        "recording_started_at": draw.start[0],
        "channels": draw.source,
        "format": draw.direction,
    }
    learned: dict[str, Any] = {
        "recording_id": draw.recording,
        "recorded_from": draw.start[1],
        "channels": draw.source,
        "format": draw.direction,
    }
    if draw.quirk == "undated" or end is None:
        return said, learned
    return {**said, "recording_ended_at": end.isoformat()}, {**learned, "recorded_until": end}


def _told(number: int, subject: str, draw: Draw) -> Told:
    about_conference = draw.event_type.startswith(("conference.", "reconciler.conference."))
    leg = draw.leg if about_conference else subject
    ids: dict[str, Any] = {
        "call_control_id": f"v3:{leg}",
        "call_leg_id": leg,
        "call_session_id": f"session-of-{leg}",
        "client_state": None,
        "connection_id": draw.connection,
    }
    if about_conference:
        ids |= {"conference_id": subject}
    else:
        ids |= {"queue": draw.queue, "from": draw.numbers[0], "to": draw.numbers[1]}
    words, learned = _words(draw)
    absent = dict.fromkeys(draw.lost, "") if draw.present else {}  # an empty text names nothing
    said = {name: value for name, value in (ids | words).items() if name not in draw.lost} | absent
    undated = draw.quirk == "undated" or draw.event_type == RECORDED
    # Ids say nothing of the order in which things happened.
    event_id = f"{number * 37 % 101:03}-of-{subject}"
    misplaced = draw.quirk == "misplaced"
    event = Event(event_id, draw.event_type, None if undated else draw.at, said, draw.shape, misplaced=misplaced)
    happening = Happening(
        event_id=event_id,
        event_type=draw.event_type,
        at=draw.at,
        control_id=said.get("call_control_id") or None,
        leg_id=said.get("call_leg_id") or None,
        session_id=said.get("call_session_id") or None,
        connection_id=said.get("connection_id"),
        conference_id=said.get("conference_id"),
        queue=said.get("queue"),
        from_number=said.get("from"),
        to_number=said.get("to"),
        origin=min(draw.origins, key=ORIGINS.index),
        **learned,
    )
    return Told(event, draw.at if undated else NOON + timedelta(days=1), happening, draw.origins)


def _subject(name: str, types: Sequence[str]) -> st.SearchStrategy[list[Told]]:
    draws = st.builds(
        Draw,
        event_type=st.sampled_from(types),
        at=st.sampled_from(INSTANTS),
        leg=st.sampled_from(IN_ROOMS),
        queue=st.sampled_from(("sales", "sales", "support", None)),
        reason=st.sampled_from(REASONS),
        connection=st.sampled_from(CONNECTIONS),
        wait=st.sampled_from(WAITS),
        position=st.sampled_from(POSITIONS),
        numbers=st.sampled_from(NUMBERS),
        source=st.sampled_from(SOURCES),
        direction=st.sampled_from(DIRECTIONS),
        bill=st.sampled_from(BILLS),
        length=st.sampled_from(LENGTHS),
        result=st.sampled_from(RESULTS),
        start=st.sampled_from(STARTS),
        recording=st.sampled_from(RECORDINGS),
        media=st.sampled_from(MEDIA),
        began=st.sampled_from((*INSTANTS, None)),
        over=st.sampled_from((*INSTANTS, None)),
        status=st.sampled_from(("completed", "completed", "left", "left", "joined", None)),
        present=st.booleans(),
        subject=st.sampled_from(("first", "second", None)),
        origins=st.sampled_from(WAYS_TO_COME),
        lost=st.sampled_from(LOST_FIELDS),
        shape=st.sampled_from((None, None, None, *SHAPES)),
        quirk=st.sampled_from((None, None, None, "misplaced", "undated", "twin")),
    )
    return st.lists(draws, max_size=12).map(
        lambda drawn: [told for number, each in enumerate(drawn) for told in _once_or_twice(number, name, each)]
    )


def _once_or_twice(number: int, subject: str, draw: Draw) -> list[Told]:
    """What was drawn; as a twin, once more with another id, which comes before or after it."""
    told = _told(number, subject, draw)
    if draw.quirk != "twin":
        return [told]
    other = f"{number * 53 % 101:03}-twin-of-{subject}"
    return [
        told,
        replace(told, event=told.event.but(event_id=other), happening=replace(told.happening, event_id=other)),
    ]


_NAMES = ("event_id", "control_id", "leg_id", "session_id", "connection_id", "conference_id", "creator_session_id")
_IDS = (
    *("call_control_id", "call_leg_id", "call_session_id", "connection_id", "conference_id"),
    *("creator_call_session_id", "participant_id", "record_id"),
)


def named_apart(history: Sequence[Told], prefix: str) -> list[Told]:
    """The same history of other legs, conferences and connections, whose ids begin with `prefix`."""

    def named(value: Any) -> Any:
        return f"{prefix}{value}" if value else value

    return [
        replace(
            told,
            event=told.event.but(event_id=named(told.event.event_id)).saying(
                **{name: named(told.event.payload[name]) for name in _IDS if name in told.event.payload}
            ),
            happening=replace(
                told.happening,
                subject=named(told.happening.subject),
                **{name: named(getattr(told.happening, name)) for name in _NAMES},
            ),
        )
        for told in history
    ]


ABOUT_LEGS = (
    *(ENQUEUED, DEQUEUED) * 4,
    *LEG_TYPES[:2] * 3,
    *LEG_TYPES,
    *(each for each in PLAYBACK_TYPES if each.startswith("call.")),
    *(CALL_RECORDED, IRRELEVANT),
    *(SEEN_WAITING, SEEN_WAITING, *SEEN_OF_CALLS),
)
ABOUT_ROOMS = (
    *CONFERENCE_TYPES[2:5] * 2,
    *CONFERENCE_TYPES * 2,
    *(each for each in PLAYBACK_TYPES if each.startswith("conference.")),
    *(each for each in PLAYBACK_TYPES if each.startswith("conference.playback.")),
    *SEEN_OF_ROOMS,
    *(PERSON_BILLED, PERSON_BILLED, PERSON_SEEN),
)

_TOLD: st.SearchStrategy[list[Told]] = st.tuples(
    *(_subject(f"leg-{number}", ABOUT_LEGS) for number in range(4)),
    *(_subject(f"room-{number}", ABOUT_ROOMS) for number in range(3)),
).map(lambda subjects: [told for subject in subjects for told in subject])

UNOBSERVED = _TOLD.map(
    lambda history: [told for told in history if not told.event.event_type.startswith("reconciler.")]
)
"""Histories in which the reconciler saw nothing by itself, which is how nearly all of them are."""

HISTORIES = st.one_of(_TOLD, UNOBSERVED)
"""Four legs and three conferences, up to a dozen events each; they share connections and the people in them."""


@dataclass(frozen=True)
class Arriving:
    """A batch: bodies with their receipt times and origins, landed at a time."""

    now: datetime
    bodies: list[bytes]
    received: list[datetime]
    origins: list[str]


@dataclass(frozen=True)
class Delivery:
    """One way in which webhooks arrive."""

    batches: list[Arriving]

    @property
    def last_clock(self) -> datetime:
        """The time by which all of it was evaluated last."""
        return self.batches[-1].now


def delivery(history: Sequence[Told], *, way: int, clock: datetime) -> Delivery:
    """The `way`th way for `history` to arrive by `clock`. Way 0: all at once, in order, each once for each origin."""
    rng = random.Random(way)
    sent = [(told, 1, origin) for told in history for origin in told.origins]
    if way == 0:
        return Delivery([_arriving(clock, sent)])
    most = 2 * len(sent)
    while history and rng.random() < 0.8 and len(sent) < most:
        told = rng.choice(history)
        sent.append((told, rng.randint(2, 5), rng.choice(told.origins)))
    rng.shuffle(sent)
    cuts = sorted(rng.randint(0, len(sent)) for _ in range(rng.randint(0, 2)))
    clocks = [clock + rng.choice(JUMPS) - timedelta(hours=rng.randint(0, 60)) for _ in cuts]
    parts = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    return Delivery([_arriving(now, part) for now, part in zip([*clocks, clock], parts, strict=True)])


def _arriving(now: datetime, sent: Sequence[tuple[Told, int, str]]) -> Arriving:
    return Arriving(
        now,
        [told.event.body(attempt=attempt) for told, attempt, _ in sent],
        [told.received_at for told, _, _ in sent],
        [origin for _, _, origin in sent],
    )
