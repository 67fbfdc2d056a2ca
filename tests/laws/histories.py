"""Arbitrary histories of a few legs and conferences, and arbitrary ways in which their webhooks arrive."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.builders import NOON, SHAPES, Event
from tests.laws.model import CALL_TYPES, CONFERENCE_TYPES, ENDED, HANGUP, LEG_TYPES, Happening

HOUR, DAY = 3_600_000_000, 86_400_000_000

# Few instants, so that many are equal; some a hair apart, some just within or beyond the longest wait.
OFFSETS_US = (
    *(0, 0, 1_000_000, 1_000_000, 41_000_000, 41_000_000, 41_000_999, 41_001_000, 41_500_500, 46_000_000, 46_000_000),
    *(10 * HOUR, 10 * HOUR, DAY - 1, DAY, DAY + 1, 2 * DAY + 1, 2 * DAY + 2),
)
INSTANTS = tuple(NOON + timedelta(microseconds=offset) for offset in OFFSETS_US)
CLOCKS = (*INSTANTS, NOON + timedelta(hours=5), NOON + timedelta(days=9))
REASONS = ("bridged", "bridging-in-process", "bridging-in-process", "hangup", "timeout", "leave", "abducted", None)
CONNECTIONS = ("c1", "c2", None)
WAITS: tuple[tuple[Any, int | None], ...] = (
    *((None, None), (0, 0), (5, 5), (41, 41), ("41", 41), (3600, 3600), (90_000, 90_000)),
    *((-1, None), (10**12, None), ("soon", None)),
)
POSITIONS: tuple[tuple[Any, int | None], ...] = ((1, 1), (2, 2), ("3", 3), (None, None))
IRRELEVANT = "call.dtmf.received"
NUMBERS = (("+12025550133", "+12025550131"), ("+12025550134", None), (None, "sip:ann@example.com"), (None, None))
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


def _told(number: int, subject: str, draw: tuple[Any, ...]) -> Told:
    event_type, at, leg, place, reason, connection, *said_so, lost, shape, quirk = draw
    (wait, waited), (position, placed), numbers = said_so
    about_conference = event_type.startswith("conference.")
    leg = leg if about_conference else subject
    payload: dict[str, Any] = {
        "call_control_id": f"v3:{leg}",
        "call_leg_id": leg,
        "call_session_id": f"session-of-{leg}",
        "client_state": None,
        "connection_id": connection,
    }
    if about_conference:
        payload["conference_id"] = subject
    else:
        payload |= {"queue": place, "from": numbers[0], "to": numbers[1]}
    if event_type == "call.dequeued":
        payload |= {"reason": reason, "wait_time_secs": wait, "queue_position": position}
    elif event_type == "call.enqueued":
        payload |= {"current_position": position}
    elif event_type == ENDED:
        payload |= {"reason": reason}
    elif event_type == HANGUP:
        payload |= {"hangup_cause": reason, "reason": "what a hangup has in another field"}
    elif event_type == "conference.recording.saved" and quirk != "undated":
        payload |= {"recording_ended_at": at.isoformat()}
    said = {name: value for name, value in payload.items() if name not in lost}
    undated = quirk == "undated" or event_type == "conference.recording.saved"
    # Ids say nothing of the order in which things happened.
    event_id = f"{number * 37 % 101:03}-of-{subject}"
    event = Event(event_id, event_type, None if undated else at, said, shape, misplaced=quirk == "misplaced")
    happening = Happening(
        event_id=event_id,
        event_type=event_type,
        at=at,
        control_id=said.get("call_control_id"),
        leg_id=said.get("call_leg_id"),
        session_id=said.get("call_session_id"),
        connection_id=said.get("connection_id"),
        conference_id=said.get("conference_id"),
        queue=said.get("queue"),
        from_number=said.get("from"),
        to_number=said.get("to"),
        reason=said.get("hangup_cause" if event_type == HANGUP else "reason"),
        position=placed if event_type in CALL_TYPES[:2] else None,
        reported_wait_secs=waited if event_type == "call.dequeued" else None,
    )
    return Told(event, at if undated else NOON + timedelta(days=1), happening)


def _subject(name: str, types: Sequence[str]) -> st.SearchStrategy[list[Told]]:
    draws = st.tuples(
        st.sampled_from(types),
        st.sampled_from(INSTANTS),
        st.sampled_from(("ann", "bob", "cy")),
        st.sampled_from(("sales", "sales", "support", None)),
        st.sampled_from(REASONS),
        st.sampled_from(CONNECTIONS),
        st.sampled_from(WAITS),
        st.sampled_from(POSITIONS),
        st.sampled_from(NUMBERS),
        st.sampled_from(LOST_FIELDS),
        st.sampled_from((None, None, None, *SHAPES)),
        st.sampled_from((None, None, None, "misplaced", "undated")),
    )
    return st.lists(draws, max_size=12).map(
        lambda drawn: [_told(number, name, each) for number, each in enumerate(drawn)]
    )


ABOUT_LEGS = (*CALL_TYPES[:2] * 4, *LEG_TYPES[:2] * 3, *LEG_TYPES, IRRELEVANT)
ROOM_TYPES = (*CONFERENCE_TYPES[2:5], *CONFERENCE_TYPES, "conference.speak.started")

HISTORIES: st.SearchStrategy[list[Told]] = st.tuples(
    *(_subject(f"leg-{number}", ABOUT_LEGS) for number in range(4)),
    *(_subject(f"room-{number}", ROOM_TYPES) for number in range(3)),
).map(lambda subjects: [told for subject in subjects for told in subject])
"""Four legs and three conferences, up to a dozen events each; they share connections and the people in them."""


@dataclass(frozen=True)
class Delivery:
    """One way in which webhooks arrive: bodies with their receipt times, in batches, each landed at a time."""

    batches: list[tuple[datetime, list[bytes], list[datetime]]]

    @property
    def last_clock(self) -> datetime:
        """The latest time by which anything was judged."""
        return max(now for now, _, _ in self.batches)


def delivery(history: Sequence[Told], *, way: int, clock: datetime) -> Delivery:
    """The `way`th way for `history` to arrive by `clock`. Way 0: all at once, in order, each webhook once."""
    rng = random.Random(way)
    sent = [(told, 1) for told in history]
    if way == 0:
        return Delivery([(clock, [told.event.body() for told in history], [told.received_at for told in history])])
    while history and rng.random() < 0.8 and len(sent) < 2 * len(history):
        sent.append((rng.choice(history), rng.randint(2, 5)))
    rng.shuffle(sent)
    cuts = sorted(rng.randint(0, len(sent)) for _ in range(rng.randint(0, 2)))
    clocks = sorted(rng.choice((clock, clock - timedelta(hours=rng.randint(0, 60)))) for _ in cuts)
    return Delivery(
        [
            (now, [told.event.body(attempt=attempt) for told, attempt in part], [told.received_at for told, _ in part])
            for now, part in zip(
                [*clocks, clock],
                [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)],
                strict=True,
            )
        ]
    )
