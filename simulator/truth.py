"""What the warehouse must show once it has all of a world's webhooks, from the simulation's own state.

Nothing here looks at a webhook: rows come from the intervals that the simulation laid out.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from simulator.history import (
    Conference,
    Fate,
    History,
    Leg,
    Visit,
)
from simulator.plan import Plan
from simulator.rows import (
    CallRow,
    ConferenceRow,
    ParticipantStay,
    PlaybackRow,
    QueueVisit,
    RecordingRow,
)
from simulator.telnyx import Event

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Truth:
    """The rows of all fact tables, each in the order in which things began."""

    queue_visits: list[QueueVisit]
    conferences: list[ConferenceRow]
    participant_stays: list[ParticipantStay]
    calls: list[CallRow]
    recordings: list[RecordingRow]
    playbacks: list[PlaybackRow]

    def intact(self, events: Iterable[Event], delivered: Collection[str]) -> "Truth":
        """Return the rows that are exact although of `events` only those with ids in `delivered` arrived.

        What is a leg's rests on all events of its leg, what is a conference's on all of the conference's. (Whether
        bridges are heard on the connection at all is taken to have survived: one `call.bridged` is enough.)
        """
        lost = [event for event in events if event.event_id not in delivered]
        legs = {event.leg_id for event in lost if event.conference_id is None}
        rooms = {event.conference_id for event in lost}

        def whole(row: RecordingRow | PlaybackRow) -> bool:
            return row.call_leg_id not in legs if row.conference_id is None else row.conference_id not in rooms

        return Truth(
            [row for row in self.queue_visits if row.call_leg_id not in legs],
            [row for row in self.conferences if row.conference_id not in rooms],
            [row for row in self.participant_stays if row.conference_id not in rooms],
            [row for row in self.calls if row.call_leg_id not in legs],
            [row for row in self.recordings if whole(row)],
            [row for row in self.playbacks if whole(row)],
        )


def truth(plan: Plan, history: History) -> Truth:
    """Return what is true of `history`."""
    bridges_heard = any(leg.bridged for leg in history.legs)
    return Truth(
        [_visit(plan, visit, bridges_heard=bridges_heard) for visit in history.visits],
        [_conference(plan, conference) for conference in history.conferences],
        [row for conference in history.conferences for row in _stays(conference)],
        [_call(plan, leg) for leg in history.legs],
        sorted(_recordings(plan, history), key=lambda row: row.started_at),
        sorted(_playbacks(plan, history), key=lambda row: row.started_at),
    )


def _visit(plan: Plan, visit: Visit, *, bridges_heard: bool) -> QueueVisit:
    offered = visit.fate in {Fate.ANSWERED, Fate.NOT_PICKED_UP}
    return QueueVisit(
        visit.visit_id,
        *_ids(visit.leg),
        plan.connection_id,
        visit.queue,
        visit.leg.from_number,
        visit.leg.to_number,
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
        "webhook",
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
        floor[turn.stay] += _ms(min(max(turn.begun, turn.stay.joined), turn.ended), turn.ended)
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


def _call(plan: Plan, leg: Leg) -> CallRow:
    bridged = min(leg.bridged, default=None)
    told = leg.bill is not None and bool(leg.bill.parts)
    return CallRow(
        *_ids(leg),
        plan.connection_id,
        "incoming" if leg.incoming else "outgoing",
        leg.from_number,
        leg.to_number,
        _time(leg.initiated),
        None if leg.answered is None else _time(leg.answered),
        None if bridged is None else _time(bridged),
        _time(leg.ended),
        "ended",
        leg.hangup_cause,
        leg.hangup_source,
        None if leg.answered is None else _ms(leg.initiated, leg.answered),
        None if bridged is None else _ms(bridged, leg.ended),
        len(leg.held),
        sum(_ms(begun, ended) for begun, ended in leg.held),
        sum(leg.bill.parts.values(), Decimal()) if leg.bill and told else None,
        "USD" if told else None,
        leg.bill.billed_secs if leg.bill and told else None,
        leg.verdict.result if leg.verdict else None,
        1_000 * sum(talk.seconds for talk in leg.talks) if leg.talks else None,
        leg.talks[-1].reason if leg.talks else None,
    )


def _recordings(plan: Plan, history: History) -> Iterator[RecordingRow]:
    """A conference's recording is told of its creator, whose leg other events name."""
    taken = [
        *((each, None, leg) for leg in history.legs for each in leg.recordings),
        *((each, room, room.creator) for room in history.conferences for each in room.recordings),
    ]
    for recording, room, leg in taken:
        yield RecordingRow(
            recording.recording_id,
            "conference" if room else "call",
            room.conference_id if room else None,
            leg.control_id,
            leg.leg_id,
            leg.session_id,
            plan.connection_id,
            _time(recording.begun),
            _time(recording.ended),
            _ms(recording.begun, recording.ended),
            recording.channels,
            recording.format,
        )


def _playbacks(plan: Plan, history: History) -> Iterator[PlaybackRow]:
    heard = [
        *((each, None, leg) for leg in history.legs for each in leg.announcements),
        *((each, room, each.leg or room.creator) for room in history.conferences for each in room.announcements),
    ]
    for told, room, session in heard:
        leg = told.leg
        yield PlaybackRow(
            "speak" if told.media is None else "playback",
            "call" if room is None else "conference" if leg is None else "participant",
            room.conference_id if room else None,
            leg.control_id if leg else None,
            leg.leg_id if leg else None,
            session.session_id,
            plan.connection_id,
            told.media,
            None if told.media is None else told.media.rpartition("/")[2],
            _time(told.begun),
            _time(told.ended),
            _ms(told.begun, told.ended),
        )


def _ids(leg: Leg) -> tuple[str, str, str]:
    return leg.control_id, leg.leg_id, leg.session_id


def _time(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def _ms(begun: int, ended: int) -> int:
    """Return the duration between two instants, each cut to the millisecond first."""
    return ended // 1_000 - begun // 1_000
