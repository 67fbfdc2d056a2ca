"""The event log's port: ingest appends records and processors read them, whichever log is behind it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from eventlog.batch import Batch, Positions
from eventlog.signature_headers import SignatureHeaders

DAMAGED = "damaged"
"""The rejection of a record that the log cannot give back as it came: its body is the rest of it, often empty."""


class Origin(StrEnum):
    """How a record came to us."""

    WEBHOOK = "webhook"
    RECONCILER = "reconciler"
    REPLAY = "replay"


class Record(NamedTuple):
    """One delivery as it is kept for ever: the body byte for byte, and how it came.

    `received_us` is Unix time in microseconds, from our own clock. `rejection` names why an authentic delivery is
    kept but not landed as an event (a wrong clock, say); None for all others. `signature_headers` vouched for a webhook
    and are kept to be verified again; None for all other origins, and in records of older versions.
    """

    body: bytes
    received_us: int
    origin: Origin = Origin.WEBHOOK
    verified: bool = True
    rejection: str | None = None
    signature_headers: SignatureHeaders | None = None


def records_of(batch: Batch) -> list[Record]:
    """Return a batch's records one by one: for small batches, because it makes an object for each."""
    columns = (
        batch.bodies,
        batch.received_us,
        batch.origins,
        batch.verified,
        batch.rejections,
        batch.signature_headers,
    )
    return [
        Record(body, received_us, Origin(origin), verified, rejection, headers)
        for body, received_us, origin, verified, rejection, headers in zip(*columns, strict=True)
    ]


class LogUnavailableError(Exception):
    """The log cannot take or give records now; trying again later may succeed."""


class Appender(Protocol):
    """The writing side, used by ingest on its event loop."""

    async def append(self, record: Record) -> None:
        """Return once the record is durable; raise LogUnavailableError where it is not durable in time."""


class LogReader(Protocol):
    """The reading side, used by processors in a thread of their own."""

    FIRST_OFFSET: int
    """The offset of a partition's first record."""

    def read(self, after: Positions, limit: int) -> Batch:
        """Return up to `limit` records that follow `after`, possibly none; raise LogUnavailableError."""

    def end(self) -> Positions:
        """Return the last offset of every partition that ever held records, also when they are forgotten by now."""

    def forget(self, landed: Positions, before_us: int) -> int:
        """Drop records at or before `landed` that were received before `before_us`; return how many."""


class Log(Appender, LogReader, Protocol):
    """Both sides, as a process opens them."""

    async def start(self) -> None:
        """Open the log for writing, on the event loop that will append."""

    async def close(self) -> None:
        """Make the waiting records durable, then let go of the log."""

    @property
    def unavailable(self) -> str | None:
        """Why the log cannot take records now, or None."""

    def exists(self) -> bool:
        """Say whether the log is known, before it is started, to be there, so that starting makes nothing new."""

    def owns(self, partition: int) -> bool:
        """Say whether a position of that partition is this log's, and not of a log of another kind before it."""

    def resumable(self) -> "ResumableLog | None":
        """Return this log where it gives positions by itself; None where a cluster gives them."""

    def spooled(self) -> int:
        """Return how many records wait in the log's spool; 0 where it has none."""

    def set_aside(self) -> list[Path]:
        """Return the damaged files of the log, or of its spool, that were set aside and are still there."""

    def last_received_at(self) -> datetime | None:
        """Return when the log took its last record in.

        None where the log is empty or cannot be read now, and where other processes may take deliveries as well: then
        one record says nothing of them.
        """

    def confirm_writable(self, began: float) -> None:
        """Note that the log's cluster took a write of some process that began then, by the monotonic clock."""


class ResumableLog(Log, Protocol):
    """A log in a file, of one partition: a new file can go on where a lost one ended."""

    PARTITION: int
    """The log's only partition."""

    def may_go_on(self) -> bool:
        """Say whether the log's end is unknown, because it was damaged: it may go on after any later position."""

    async def continue_after(self, position: int) -> None:
        """Give positions after `position` from now on; raise LogUnavailableError."""


@dataclass(frozen=True, slots=True)
class LogExtent:
    """How far a log reaches: the last offset of every partition, and the offset that a partition begins with."""

    ends: Positions
    first: int

    @classmethod
    def of(cls, log: LogReader) -> Self:
        """Ask the log. Raises LogUnavailableError."""
        return cls(log.end(), log.FIRST_OFFSET)

    @property
    def held(self) -> int:
        """How many records the log ever held."""
        return sum(end - self.first + 1 for end in self.ends.values())

    def lag(self, landed: Positions) -> int:
        """How many of those records have still to land."""
        return sum(max(0, end - landed.get(partition, self.first - 1)) for partition, end in self.ends.items())
