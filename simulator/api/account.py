"""An account at Telnyx: the simulated world as far as it has happened by now, and what commands added."""

import bisect
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Self

from simulator.history import (
    Conference,
    History,
    Leg,
    Recording,
    Stay,
    Visit,
)
from simulator.plan import Plan
from simulator.telnyx import Desk, Event
from simulator.world import World

NEVER = 1 << 62
"""The end, in microseconds, of a leg or conference whose end is not known yet."""
MAX_CONFERENCE_US = 4 * 3_600_000_000


@dataclass(slots=True)
class Flags:
    """What commands set on a stay."""

    muted: bool = False
    on_hold: bool = False


@dataclass(slots=True)
class Account:
    """The state behind the API. `now` is Unix time in microseconds; nothing after it is shown.

    `lost` are the ids of webhooks that were never taken; `hear` gets each webhook that a command causes.
    """

    plan: Plan
    history: History
    events: list[Event]
    now: Callable[[], int]
    lost: Collection[str] = frozenset()
    hear: Callable[[Event], None] = lambda _: None
    names: dict[str, str] = field(default_factory=dict)
    regions: dict[str, str] = field(default_factory=dict)
    ended_via_api: set[str] = field(default_factory=set)
    flags: dict[tuple[str, str], Flags] = field(default_factory=dict)
    running: dict[str, tuple[str, int]] = field(default_factory=dict)
    """The recordings that a command began: for each conference an id, and since when."""
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    _desk: Desk = field(init=False)
    _legs: dict[str, Leg] = field(init=False)
    _rooms: dict[str, Conference] = field(init=False)
    _webhooks: dict[str, list[Event]] = field(init=False)
    _of_leg: defaultdict[str, list[Event]] = field(init=False)
    _by_session: defaultdict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._desk = Desk(self.plan, self.rng)
        self._legs = {leg.control_id: leg for leg in self.history.legs}
        self._rooms = {room.conference_id: room for room in self.history.conferences}
        self._webhooks = {
            "failed": [event for event in self.events if event.event_id in self.lost],
            "delivered": [event for event in self.events if event.event_id not in self.lost],
        }
        self._of_leg = defaultdict(list)
        for event in self.events:
            self._index(event)
        self._by_session = defaultdict(set)
        for leg in self.history.legs:
            self._by_session[leg.session_id].add(leg.leg_id)

    @classmethod
    def of(
        cls,
        world: World,
        *,
        now: Callable[[], int],
        lost: Collection[str] = frozenset(),
        hear: Callable[[Event], None] = lambda _: None,
    ) -> Self:
        """The account whose calls were those of `world`."""
        rng = random.Random(f"{world.seed}/api")
        return cls(world.plan, world.history, list(world.events), now, lost, hear=hear, rng=rng)

    @classmethod
    def empty(cls, plan: Plan, *, now: Callable[[], int], seed: int = 0) -> Self:
        """An account in which nothing has happened yet."""
        return cls(plan, History(), [], now, rng=random.Random(f"{seed}/api"))

    # what there is

    def leg(self, control_id: str) -> Leg | None:
        """The leg of that control id, if it has begun."""
        leg = self._legs.get(control_id)
        return leg if leg is not None and leg.initiated <= self.now() else None

    def room(self, conference_id: str) -> Conference | None:
        """The conference of that id, if it has begun."""
        room = self._rooms.get(conference_id)
        return room if room is not None and room.created <= self.now() else None

    def rooms(self) -> list[Conference]:
        """All conferences so far, those that expire last first."""
        now = self.now()
        return sorted((room for room in self._rooms.values() if room.created <= now), key=lambda room: -room.created)

    def alive(self, leg: Leg) -> bool:
        """Whether the leg is there and not yet over."""
        return leg.initiated <= self.now() < (leg.ended or NEVER)

    def waiting(self, queue: str) -> list[Visit]:
        """Who is in the queue, in order."""
        now = self.now()
        here = [each for each in self.history.visits if each.queue == queue and each.enqueued <= now < _left(each)]
        return sorted(here, key=lambda visit: visit.enqueued)

    def queues(self) -> list[str]:
        """The names of all queues that ever held somebody; an empty one is forgotten after a while, as at Telnyx."""
        now = self.now()
        recent = {
            each.queue for each in self.history.visits if each.enqueued <= now and _left(each) > now - MAX_CONFERENCE_US
        }
        return sorted(recent)

    def webhooks(self, status: str | None = None) -> list[Event]:
        """All webhooks in time order, or those that were delivered or failed; those of times to come, too."""
        return self.events if status is None else self._webhooks.get(status, [])

    def webhooks_of(self, leg_ids: Iterable[str]) -> list[Event]:
        """All webhooks of these legs, in time order; those of times to come, too."""
        found = [event for leg_id in leg_ids for event in self._of_leg.get(leg_id, [])]
        found.sort(key=lambda event: event.at)
        return found

    def legs_of(self, session_id: str) -> set[str]:
        """The ids of the legs of a session."""
        return self._by_session.get(session_id, set())

    def recordings(self) -> list[tuple[Recording, Leg, Conference | None]]:
        """All recordings that are saved by now, of whom, and of which conference."""
        now = self.now()
        found: list[tuple[Recording, Leg, Conference | None]] = [
            (each, leg, None) for leg in self.history.legs for each in leg.recordings if each.saved <= now
        ]
        found += [
            (each, room.creator, room) for room in self._rooms.values() for each in room.recordings if each.saved <= now
        ]
        return sorted(found, key=lambda found: found[0].saved)

    # what commands do

    def add_leg(self, leg: Leg) -> None:
        """Let a leg begin."""
        self.history.legs.append(leg)
        self._legs[leg.control_id] = leg
        self._by_session[leg.session_id].add(leg.leg_id)

    def add_room(self, room: Conference, name: str) -> None:
        """Let a conference begin."""
        self.history.conferences.append(room)
        self._rooms[room.conference_id] = room
        self.names[room.conference_id] = name

    def tell(self, event_type: str, at: int, payload: dict[str, object], event_id: str | None = None) -> None:
        """Send a webhook."""
        self._desk.send(event_type, at, payload, event_id)
        self._heard()

    def tell_recording(self, told: Recording, room: Conference) -> None:
        """Send the webhook of a conference's recording."""
        self._desk.recording(told, {**self.ids(room.creator), "conference_id": room.conference_id})
        self._heard()

    def _heard(self) -> None:
        event = self._desk.events.pop()
        for shelf in (self.events, self._webhooks["delivered"]):
            bisect.insort(shelf, event, key=lambda each: each.at)
        self._index(event)
        self.hear(event)

    def ids(self, leg: Leg) -> dict[str, str | None]:
        """What every webhook says of its leg."""
        return self._desk.ids(leg)

    def flagged(self, room: Conference, stay: Stay) -> Flags:
        """What commands set on a stay."""
        return self.flags.setdefault((room.conference_id, stay.leg.leg_id), Flags())

    def _index(self, event: Event) -> None:
        if event.leg_id is not None:
            self._of_leg[event.leg_id].append(event)


def _left(visit: Visit) -> int:
    return visit.left if visit.reason is not None else NEVER
