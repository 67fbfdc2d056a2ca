"""What happened in a simulated center, as it knows it itself: legs, visits, conferences. No webhooks here.

All instants are whole microseconds of Unix time; instants in conferences are whole milliseconds, as Telnyx tells them.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class Fate(StrEnum):
    """What became of a visit, as the center saw it."""

    ANSWERED = "answered"
    NOT_PICKED_UP = "not_picked_up"
    ABANDONED = "abandoned"
    TIMED_OUT = "timed_out"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording and when Telnyx had saved it. Of a call's the format is not told, and its id is the webhook's."""

    recording_id: str
    begun: int
    ended: int
    saved: int
    channels: str
    format: str | None


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something played (`media` is its address) or spoken, to one leg or to a whole conference."""

    begun: int
    ended: int
    leg: "Leg | None"
    media: str | None


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation with an assistant, and why it was over."""

    ended: int
    seconds: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class MachineVerdict:
    """What machine detection, plain or premium, took the other end for."""

    at: int
    result: str
    premium: bool


@dataclass(frozen=True, slots=True)
class Bill:
    """The cost of a leg, in dollars by part, sent at `at`. Without parts, Telnyx does not know it."""

    at: int
    parts: dict[str, Decimal]
    billed_secs: int


@dataclass(slots=True, eq=False)
class Leg:
    """One leg of a call: a caller's, an agent's or a supervisor's. `answered` None: it was never picked up."""

    control_id: str
    leg_id: str
    session_id: str
    client_state: str | None
    incoming: bool
    from_number: str
    to_number: str
    initiated: int
    answered: int | None = None
    ended: int = 0
    hangup_cause: str = "normal_clearing"
    hangup_source: str = "caller"
    sip_cause: str = "200"
    bridged: list[int] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)
    verdict: MachineVerdict | None = None
    bill: Bill | None = None

    def hang_up(self, at: int, *, by: str = "caller", cause: str = "normal_clearing", sip: str = "200") -> None:
        """End the leg at `at`."""
        self.ended, self.hangup_source, self.hangup_cause, self.sip_cause = at, by, cause, sip


@dataclass(slots=True, eq=False)
class Visit:
    """One enqueue of one leg into one queue."""

    visit_id: str
    leg: Leg
    queue: str
    enqueued: int
    position_in: int
    average_wait_s: int
    position_out: int = 0
    left: int = 0
    reason: str | None = None
    """Telnyx's reason for the dequeue; None while the visit is open."""
    fate: Fate | None = None
    gone: int | None = None
    """When the caller hung up, if the call stayed in the queue after that."""


@dataclass(slots=True, eq=False)
class Stay:
    """A leg in a conference from `joined` to `left`. Unless `told`, no leave is sent: the conference's end ends it."""

    leg: Leg
    joined: int
    left: int
    told: bool = True


@dataclass(frozen=True, slots=True)
class FloorTurn:
    """A speaker's hold of the floor, from `begun` to `ended`. It may begin a moment before the stay does."""

    stay: Stay
    begun: int
    ended: int


@dataclass(slots=True, eq=False)
class Conference:
    """A conference. Whose leg created it is on its created and ended events."""

    conference_id: str
    creator: Leg
    created: int
    ended: int
    end_reason: str
    stays: list[Stay]
    turns: list[FloorTurn]
    recordings: list[Recording]
    announcements: list[Announcement]


@dataclass(slots=True)
class History:
    """All that happened, each kind in the order in which it began."""

    legs: list[Leg] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    conferences: list[Conference] = field(default_factory=list)
