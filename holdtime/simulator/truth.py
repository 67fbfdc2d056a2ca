"""What the warehouse must show once it has all of a world's webhooks, from the simulation's own state.

Nothing here looks at a webhook: rows come from the intervals that the simulation laid out. Columns have the names,
types and units of the warehouse's tables; only those are here that what happened determines.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from holdtime.simulator.history import Conference, Fate, History, Leg, Visit
from holdtime.simulator.plan import Plan
from holdtime.simulator.telnyx import Event

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class QueueVisit(NamedTuple):
    """A row of `queue_visits`."""

    visit_id: str
    call_control_id: str
    call_leg_id: str
    call_session_id: str
    connection_id: str
    queue: str
    enqueued_at: datetime
    enqueued_at_source: str
    left_at: datetime
    wait_ms: int
    in_queue_ms: int
    reported_wait_secs: int
    reason: str
    outcome: str
    answer_confirmed: bool | None
    position_in: int
    position_out: int


class ConferenceRow(NamedTuple):
    """A row of `conferences`."""

    conference_id: str
    connection_id: str
    call_session_id: str
    created_at: datetime
    ended_at: datetime
    duration_ms: int
    status: str
    end_reason: str
    participants: int
    unique_participants: int
    peak_participants: int
    participant_ms: int
    floor_changes: int
    recordings: int


class ParticipantStay(NamedTuple):
    """A row of `participant_stays`."""

    conference_id: str
    call_control_id: str
    call_leg_id: str
    call_session_id: str
    joined_at: datetime
    left_at: datetime
    duration_ms: int
    floor_ms: int


@dataclass(frozen=True, slots=True)
class Truth:
    """The rows of three tables, each in the order in which things began."""

    queue_visits: list[QueueVisit]
    conferences: list[ConferenceRow]
    participant_stays: list[ParticipantStay]

    def intact(self, events: Iterable[Event], delivered: Collection[str]) -> "Truth":
        """Return the rows that are exact although of `events` only those with ids in `delivered` arrived.

        A visit rests on all events of its leg, a conference and its stays on all of the conference's. (Whether bridges
        are heard on the connection at all is taken to have survived: one `call.bridged` is enough.)
        """
        lost = [event for event in events if event.event_id not in delivered]
        legs = {event.leg_id for event in lost if event.conference_id is None}
        rooms = {event.conference_id for event in lost}
        return Truth(
            [row for row in self.queue_visits if row.call_leg_id not in legs],
            [row for row in self.conferences if row.conference_id not in rooms],
            [row for row in self.participant_stays if row.conference_id not in rooms],
        )


def truth(plan: Plan, history: History) -> Truth:
    """Return what is true of `history`."""
    bridges_heard = any(leg.bridged for leg in history.legs)
    return Truth(
        [_visit(plan, visit, bridges_heard=bridges_heard) for visit in history.visits],
        [_conference(plan, conference) for conference in history.conferences],
        [row for conference in history.conferences for row in _stays(conference)],
    )


def _visit(plan: Plan, visit: Visit, *, bridges_heard: bool) -> QueueVisit:
    offered = visit.fate in {Fate.ANSWERED, Fate.NOT_PICKED_UP}
    return QueueVisit(
        visit.visit_id,
        *_ids(visit.leg),
        plan.connection_id,
        visit.queue,
        _time(visit.enqueued),
        "observed",
        _time(visit.left),
        _ms(visit.enqueued, visit.left if visit.gone is None else visit.gone),
        _ms(visit.enqueued, visit.left),
        (visit.left - visit.enqueued) // 1_000_000,
        visit.reason or "",
        _outcome(visit, bridges_heard=bridges_heard),
        visit.fate is Fate.ANSWERED if offered else None,
        visit.position_in,
        visit.position_out,
    )


def _outcome(visit: Visit, *, bridges_heard: bool) -> str:
    if visit.fate is Fate.NOT_PICKED_UP:
        # with no bridge ever heard of, its absence says nothing
        return "failed_bridge" if bridges_heard else "answered"
    return str(visit.fate)


def _conference(plan: Plan, conference: Conference) -> ConferenceRow:
    stays = conference.stays
    return ConferenceRow(
        conference.conference_id,
        plan.connection_id,
        conference.creator.session_id,
        _time(conference.created),
        _time(conference.ended),
        _ms(conference.created, conference.ended),
        "completed",
        conference.end_reason,
        len(stays),
        len({stay.leg.leg_id for stay in stays}),
        # the peak is at somebody's joining; who leaves at that instant is no longer there
        max(sum(other.joined <= stay.joined < other.left for other in stays) for stay in stays),
        sum(_ms(stay.joined, stay.left) for stay in stays),
        len(conference.turns),
        len(conference.recordings),
    )


def _stays(conference: Conference) -> list[ParticipantStay]:
    floor = dict.fromkeys(conference.stays, 0)
    for turn in conference.turns:
        floor[turn.stay] += _ms(turn.begun, turn.ended)
    return [
        ParticipantStay(
            conference.conference_id,
            *_ids(stay.leg),
            _time(stay.joined),
            _time(stay.left),
            _ms(stay.joined, stay.left),
            floor[stay],
        )
        for stay in conference.stays
    ]


def _ids(leg: Leg) -> tuple[str, str, str]:
    return leg.control_id, leg.leg_id, leg.session_id


def _time(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def _ms(begun: int, ended: int) -> int:
    """Return the duration between two instants, each cut to the millisecond first."""
    return ended // 1_000 - begun // 1_000
