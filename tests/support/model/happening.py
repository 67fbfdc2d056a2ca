"""What happened, as the model of the rules is told it: one event with all that a rule may ask of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

LONGEST_WAIT = timedelta(hours=24)


SILENCE, MONTH = timedelta(hours=24), timedelta(days=31)
"""For how long nothing is heard of what is over, and of what is open, before what comes is of another life."""


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

    of_another: bool = False
    """It is told of a conference, and here of the leg that it names."""

    @property
    def leg(self) -> str:
        """What tells one leg from another; an event that names none is of a leg of its own."""
        return self.control_id or self.leg_id or self.event_id

    @property
    def entity(self) -> str:
        """The leg that a call event is about, the conference that a conference event is about."""
        about_conference = self.event_type.startswith(("conference.", "reconciler.conference.")) and not self.of_another
        return (about_conference and self.conference_id) or self.leg
