"""Webhooks as Telnyx writes them, said in a line, and a warehouse in memory to land them in.

call = a_call(leg="ann").queued(at=NOON, queue="support").answered(after=41).talked(300)
room = a_conference("sales", start=NOON).created().joined("ann", 1).floor("ann", 2).left("ann", 60).ended(61)
warehouse = a_warehouse()
warehouse.land(call, room)
(visit,) = warehouse.dicts("queue_visits")
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

import duckdb

from eventlog.batch import Batch, Positions
from processors.landing.landed import Landed
from processors.landing.landing import Landing
from processors.landing.prepared import Prepared
from processors.landing.speculator import Preparer
from processors.replay.rebuild import rebuild
from warehouse.database import DISABLED_OPTIMIZERS, create_tables

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
"""When batches land unless a test says otherwise."""

FACT_TABLES = ("queue_visits", "conferences", "participant_stays", "calls", "recordings", "playbacks")
CONNECTION = "2963572552552678752"
NUMBERS = {"from": "+12025550133", "to": "+12025550131"}
"""Numbers that are never assigned (555-01xx)."""

Shape = Literal["wrapped", "unwrapped", "v1", "v1_snake", "call_events", "webhook_deliveries"]
SHAPES: tuple[Shape, ...] = ("wrapped", "unwrapped", "v1", "v1_snake", "call_events", "webhook_deliveries")

TIME_IN_EVENT = frozenset({"conference.participant.joined", "conference.participant.left"})
"""The conference events with `occurred_at` beside the payload, where call events have it."""
UNDATED = "conference.recording.saved"
UNWRAPPED = "conference.floor.changed"

Row = dict[str, Any]


def stamp(at: datetime) -> str:
    """An instant as Telnyx writes it, such as `2026-05-19T23:30:15.038431Z`."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@dataclass(frozen=True)
class Event:
    """One webhook. `at` None: it carries no time. `misplaced`: its time is where other events of its kind have it."""

    event_id: str
    event_type: str
    at: datetime | None
    payload: Row = field(default_factory=dict)
    shape: Shape | None = None
    misplaced: bool = False

    def but(self, **changes: Any) -> "Event":
        """The same with other fields."""
        return replace(self, **changes)

    def saying(self, **payload: Any) -> "Event":
        """The same with other or more words in its payload."""
        return replace(self, payload={**self.payload, **payload})

    def without(self, *names: str) -> "Event":
        """The same with less in its payload."""
        return replace(self, payload={name: value for name, value in self.payload.items() if name not in names})

    def body(self, *, attempt: int = 1) -> bytes:
        """The bytes of its `attempt`th delivery, in its shape or else in the one that Telnyx documents."""
        shape = self.shape or ("unwrapped" if self.event_type == UNWRAPPED else "wrapped")
        meta = {"attempt": attempt, "delivered_to": "https://example.com/webhooks/telnyx"}
        bare = {"record_type": "event", "event_type": self.event_type, "id": self.event_id}
        body: Row
        match shape:
            case "wrapped":
                body = {"data": {**bare, **self._dated()}, "meta": meta}
            case "unwrapped":
                body = {**bare, **self._dated()}
            case "v1" | "v1_snake":
                created = {} if self.at is None else {"created_at": stamp(self.at)}
                body = {**bare, **created, "payload": self.payload}
                if shape == "v1_snake":
                    body["event_type"] = self.event_type.replace(".", "_")
            case "call_events":
                body = {
                    "record_type": "call_event",
                    "call_leg_id": self.payload.get("call_leg_id"),
                    "call_session_id": self.payload.get("call_session_id"),
                    "event_timestamp": "2026-02-03T23:59:59.000000Z",
                    "metadata": {**meta, "event": {**bare, **self._dated()}, "status": "delivered"},
                    "name": self.event_type,
                    "type": "webhook",
                }
            case "webhook_deliveries":
                body = {
                    "record_type": "webhook_delivery",
                    "id": f"delivery of {self.event_id}",
                    "status": "delivered",
                    "started_at": "2026-02-03T23:59:59.000Z",
                    "finished_at": "2026-02-03T23:59:59.500Z",
                    "attempts": [{"status": "delivered", "errors": []}] * attempt,
                    "webhook": {**bare, **self._dated()},
                }
        return json.dumps(body, separators=(",", ":")).encode()

    def _dated(self) -> Row:
        """The payload, and the time where Telnyx's description has it for this type (or, misplaced, where not)."""
        if self.at is None:
            return {"payload": self.payload}
        beside = self.event_type.startswith("call.") or self.event_type in TIME_IN_EVENT
        if beside != self.misplaced:
            return {"occurred_at": stamp(self.at), "payload": self.payload}
        return {"payload": {**self.payload, "occurred_at": stamp(self.at)}}


@dataclass
class Call:
    """What Telnyx says of one leg; times are seconds after what was said last. Made by `a_call`."""

    leg: str
    session: str
    connection: str | None
    queue: str = "support"
    now: datetime = NOON
    queued_at: datetime = NOON
    events: list[Event] = field(default_factory=list)

    def __iter__(self) -> Iterator[Event]:
        """Its webhooks, in the order in which things happened."""
        return iter(self.events)

    def initiated(self, *, at: datetime) -> Self:
        """The call reaches Telnyx."""
        self.now = at
        return self._say("call.initiated", direction="incoming", state="parked", **NUMBERS)

    def queued(
        self, *, at: datetime | None = None, after: float = 0, queue: str = "support", position: int | None = 1
    ) -> Self:
        """Into a queue."""
        self.now = at if at is not None else self.now + timedelta(seconds=after)
        self.queue, self.queued_at = queue, self.now
        return self._say("call.enqueued", queue=queue, current_position=position, queue_avg_wait_time_secs=7)

    def dequeued(self, reason: str | None, *, after: float, position: int | None = 1) -> Self:
        """Out of the queue, for that reason."""
        self.now += timedelta(seconds=after)
        waited = (self.now - self.queued_at) // timedelta(seconds=1)
        return self._say(
            "call.dequeued", queue=self.queue, queue_position=position, reason=reason, wait_time_secs=waited
        )

    def answered(self, *, after: float, ringing: float | None = None) -> Self:
        """By an agent; with `ringing`, Telnyx dequeues that many seconds before the two are bridged."""
        if ringing is None:
            return self.dequeued("bridged", after=after).bridged()
        return self.dequeued("bridging-in-process", after=after - ringing).bridged(after=ringing)

    def bridged(self, *, after: float = 0) -> Self:
        """Two legs hear each other."""
        self.now += timedelta(seconds=after)
        return self._say("call.bridged", **NUMBERS)

    def abandoned(self, *, after: float) -> Self:
        """The caller hangs up in the queue."""
        return self.dequeued("hangup", after=after).hung_up()

    def timed_out(self, *, after: float) -> Self:
        """The queue gives the call back."""
        return self.dequeued("timeout", after=after)

    def taken_out(self, *, after: float) -> Self:
        """By command: a callback, a voicemail, a transfer."""
        return self.dequeued("leave", after=after)

    def picked_up(self, *, after: float) -> Self:
        """The leg is answered, by a person or by the application."""
        self.now += timedelta(seconds=after)
        return self._say("call.answered", state="answered", **NUMBERS)

    def held(self, seconds: float | None, *, after: float) -> Self:
        """On hold for so long, or until something else ends it."""
        self.now += timedelta(seconds=after)
        self._say("call.hold", **NUMBERS)
        if seconds is None:
            return self
        self.now += timedelta(seconds=seconds)
        return self._say("call.unhold", **NUMBERS)

    def told(self, event_type: str, *, after: float, **more: Any) -> Self:
        """Whatever else Telnyx says of a leg."""
        self.now += timedelta(seconds=after)
        return self._say(event_type, **more)

    def talked(self, seconds: float) -> Self:
        """For so long, then somebody hangs up."""
        return self.hung_up(after=seconds)

    def hung_up(self, *, after: float = 0) -> Self:
        """The end of the leg."""
        self.now += timedelta(seconds=after)
        return self._say("call.hangup", hangup_cause="normal_clearing", hangup_source="caller", **NUMBERS)

    def but_never(self, *event_types: str) -> Self:
        """The same, and the webhooks of these types were lost."""
        self.events = [event for event in self.events if event.event_type not in event_types]
        return self

    def _say(self, event_type: str, **more: Any) -> Self:
        payload = {
            "call_control_id": f"v3:{self.leg}",
            "call_leg_id": self.leg,
            "call_session_id": self.session,
            "client_state": None,
            "connection_id": self.connection,
            **more,
        }
        self.events.append(Event(f"{self.leg}-{len(self.events):02}", event_type, self.now, payload))
        return self


def a_call(
    leg: str = "ann", *, session: str | None = None, connection: str | None = CONNECTION, at: datetime = NOON
) -> Call:
    """A leg of which nothing has been said yet."""
    return Call(leg, session or f"session-of-{leg}", connection, now=at)


@dataclass
class Conference:
    """What Telnyx says of one conference; times are seconds after `start`. Made by `a_conference`."""

    conference_id: str
    start: datetime
    creator: str
    connection: str
    events: list[Event] = field(default_factory=list)

    def __iter__(self) -> Iterator[Event]:
        """Its webhooks, in the order in which they were said."""
        return iter(self.events)

    def created(self, at: float = 0) -> Self:
        """By the creator's leg."""
        return self._say("conference.created", self.creator, at)

    def joined(self, leg: str, at: float) -> Self:
        """A leg comes."""
        return self._say("conference.participant.joined", leg, at)

    def left(self, leg: str, at: float) -> Self:
        """A leg goes."""
        return self._say("conference.participant.left", leg, at)

    def floor(self, leg: str, at: float) -> Self:
        """A leg begins to speak."""
        return self._say("conference.floor.changed", leg, at)

    def ended(self, at: float, *, reason: str | None = "all_left") -> Self:
        """It is over."""
        return self._say("conference.ended", self.creator, at, reason=reason)

    def recorded(self, begun: float, ended: float) -> Self:
        """A recording was saved: it carries no time but its own, and no leg."""
        recording_id = f"{self.conference_id}-recording-{len(self.events)}"
        return self._say(
            UNDATED,
            None,
            None,
            channels="dual",
            format="mp3",
            recording_id=recording_id,
            recording_started_at=stamp(self._instant(begun)),
            recording_ended_at=stamp(self._instant(ended)),
            recording_urls={"mp3": f"https://example.com/{recording_id}", "wav": None},
        )

    def heard(
        self, begun: float | None, ended: float | None, *, leg: str | None = None, media: str | None = None
    ) -> Self:
        """Something played (`media` is its address) or spoken, to one leg or to all; None: that webhook was lost."""
        kind = f"conference{'.participant' if leg else ''}.{'playback' if media else 'speak'}"
        said = {"creator_call_session_id": f"session-of-{self.creator}"}
        if media is not None:
            said |= {"media_url": media, "media_name": media.rpartition("/")[2]}
        for at, which in ((begun, "started"), (ended, "ended")):
            if at is not None:
                self._say(f"{kind}.{which}", leg, at, **said)
                if leg is None:
                    self.events[-1] = self.events[-1].without("call_control_id", "call_session_id", "client_state")
        return self

    def _instant(self, at: float) -> datetime:
        return self.start + timedelta(seconds=at)

    def _say(self, event_type: str, leg: str | None, at: float | None, **more: Any) -> Self:
        payload = {
            "call_control_id": f"v3:{leg or self.creator}",
            "call_session_id": f"session-of-{leg or self.creator}",
            "client_state": None,
            "connection_id": self.connection,
            "conference_id": self.conference_id,
            **more,
        }
        if leg is not None:
            payload["call_leg_id"] = leg
        moment = None if at is None else self._instant(at)
        self.events.append(Event(f"{self.conference_id}-{len(self.events):02}", event_type, moment, payload))
        return self


def a_conference(
    conference_id: str = "room", *, start: datetime = NOON, creator: str = "host", connection: str = CONNECTION
) -> Conference:
    """A conference of which nothing has been said yet."""
    return Conference(conference_id, start, creator, connection)


Said = Event | bytes | Iterable[Event]


def bodies(*said: Said) -> list[bytes]:
    """The bodies of everything that was said, calls and conferences unrolled."""
    found: list[bytes] = []
    for words in said:
        if isinstance(words, bytes):
            found.append(words)
        elif isinstance(words, Event):
            found.append(words.body())
        else:
            found += [event.body() for event in words]
    return found


def microseconds(at: datetime) -> int:
    """Unix microseconds, without a float in between."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def a_batch(
    said: Sequence[bytes],
    *,
    first_offset: int = 1,
    partition: int = 0,
    received: datetime | Sequence[datetime] = NOON,
    rejections: Sequence[str | None] | None = None,
    origin: str | Sequence[str] = "webhook",
) -> Batch:
    """Log records of those bodies."""
    many = len(said)
    moments = [received] * many if isinstance(received, datetime) else list(received)
    origins = [origin] * many if isinstance(origin, str) else list(origin)
    return Batch.of(
        partitions=[partition] * many,
        offsets=list(range(first_offset, first_offset + many)),
        received_us=[microseconds(moment) for moment in moments],
        origins=origins,
        verified=[each == "webhook" for each in origins],
        rejections=[None] * many if rejections is None else list(rejections),
        bodies=list(said),
    )


@dataclass
class Warehouse:
    """A warehouse in memory and the landing that writes it. Made by `a_warehouse`."""

    db: duckdb.DuckDBPyConnection
    landing: Landing
    offsets: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    preparer: Preparer | None = None

    def land(
        self,
        *said: Said,
        now: datetime = LATER,
        received: datetime | Sequence[datetime] = NOON,
        ahead: bool = False,
    ) -> Landed:
        """Land all of it as one batch, after what landed before."""
        return self.land_bodies(bodies(*said), now=now, received=received, ahead=ahead)

    def land_bodies(
        self,
        said: Sequence[bytes],
        *,
        now: datetime = LATER,
        received: datetime | Sequence[datetime] = NOON,
        origin: str | Sequence[str] = "webhook",
        ahead: bool = False,
    ) -> Landed:
        """Land bodies as one batch, after what landed before; `ahead` says that it is read before its turn."""
        batch = self.batch(said, received=received, origin=origin)
        return self.landing.land(self.prepared(batch) if ahead else batch, now)

    def prepared(self, batch: Batch) -> Prepared:
        """The batch, read before its turn."""
        if self.preparer is None:
            self.preparer = Preparer()
        return self.preparer(batch)

    def batch(
        self,
        said: Sequence[bytes],
        *,
        received: datetime | Sequence[datetime] = NOON,
        origin: str | Sequence[str] = "webhook",
    ) -> Batch:
        """The next records of the log."""
        first = next(self.offsets)
        for _ in said[1:]:
            next(self.offsets)
        return a_batch(said, first_offset=first, received=received, origin=origin)

    def rebuild(self, *, now: datetime | None = None) -> None:
        """Derive every fact anew; `now` as in `rebuild`."""
        for _ in rebuild(self.db, now=now):
            pass

    def positions(self) -> Positions:
        """How far the log has landed."""
        return self.landing.positions()

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """All rows and columns of a table, in an order that depends on nothing but the rows."""
        return sorted(self.db.execute(f"select * from {table}").fetchall(), key=repr)

    def facts(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all fact tables."""
        return {table: self.rows(table) for table in FACT_TABLES}

    def dicts(self, table: str) -> list[Row]:
        """All rows of a table by column, in the order in which things began where that is known."""
        found = self.db.execute(f"select * from {table}")
        names = [column[0] for column in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        begun = {
            "calls": "initiated_at",
            "queue_visits": "enqueued_at",
            "conferences": "created_at",
            "participant_stays": "joined_at",
            "recordings": "started_at",
            "playbacks": "started_at",
        }
        moment = begun.get(table, "occurred_at" if table == "events" else "received_at")
        far = datetime.max.replace(tzinfo=UTC)
        return sorted(rows, key=lambda row: (row.get(moment) or far, repr(row)))

    def only(self, table: str) -> Row:
        """The one row of a table."""
        rows = self.dicts(table)
        assert len(rows) == 1, rows
        return rows[0]


@contextmanager
def opened_warehouse() -> Iterator[Warehouse]:
    """A new warehouse in memory, closed at the end."""
    warehouse = a_warehouse()
    try:
        yield warehouse
    finally:
        warehouse.db.close()


def a_warehouse() -> Warehouse:
    """A new warehouse in memory, set up as the real one is."""
    db = duckdb.connect(config={"threads": 1})
    db.execute("set global timezone = 'UTC'")
    db.execute("set preserve_insertion_order = false")
    db.execute(f"set disabled_optimizers = '{DISABLED_OPTIMIZERS}'")
    create_tables(db)
    return Warehouse(db, Landing(db))
