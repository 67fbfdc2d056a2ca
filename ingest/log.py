"""The event log's port: what ingest appends and processors read, whichever log is behind it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ingest.batch import Batch, Positions


class Origin(StrEnum):
    """How a record came to us."""

    WEBHOOK = "webhook"
    RECONCILER = "reconciler"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Record:
    """One delivery, as it will be kept for ever: the body byte for byte, and how it came.

    `received_us` is Unix time in microseconds, from our own clock. `rejection` names why an authentic delivery is
    kept but not landed as an event (a wrong clock, say); None for all others.
    """

    body: bytes
    received_us: int
    origin: Origin = Origin.WEBHOOK
    verified: bool = True
    rejection: str | None = None


class LogUnavailableError(Exception):
    """The log cannot take or give records now; trying again later may succeed."""


class Appender(Protocol):
    """The writing side, used by ingest on its event loop."""

    async def append(self, record: Record) -> None:
        """Return once the record is durable; raise LogUnavailableError when that cannot be had in time."""


class Reader(Protocol):
    """The reading side, used by processors in a thread of their own."""

    def read(self, after: Positions, limit: int) -> Batch:
        """Return up to `limit` records that follow `after`, possibly none; raise LogUnavailableError."""

    def end(self) -> Positions:
        """Return the last offset of every partition that ever held records, also when they are forgotten by now."""

    def forget(self, landed: Positions, before_us: int) -> int:
        """Drop records at or before `landed` that were received before `before_us`; return how many."""
