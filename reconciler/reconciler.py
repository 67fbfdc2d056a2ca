"""One run: read every source in its order, and append new events to the log."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from eventlog.log import (
    Appender,
    Origin,
    Record,
)
from reconciler.api import Api
from reconciler.errors import (
    ForbiddenError,
    ReconcilerError,
    UnauthorizedError,
)
from reconciler.found import FoundEvent
from reconciler.seen_events import SeenEvents
from reconciler.sources import Asking, EventSource
from reconciler.sources.registry import ORIGINALS, STATES
from reconciler.status import ReconcilerStatus, SourceStatus
from reconciler.windows import Window, adds

GROUP_RECORDS = 250
"""Records that are made durable together."""

MAX_UNLANDED = 2_500
"""Events that are published before they land, where that is ours to do: landing them takes memory."""

log = structlog.get_logger("reconciler")

OnProgress = Callable[[str, int], None]
"""Gets the name of a source, and how many events it has given so far."""


@dataclass(slots=True)
class SourceOutcome:
    """How reading one source ended. `fault` says why it was not read to its end; `forbidden` that the key may not."""

    source: str
    read: int = 0
    published: int = 0
    requests: int = 0
    fault: str | None = None
    forbidden: bool = False


@dataclass(slots=True)
class Reconciler:
    """Asks all sources, one after the other.

    `settle` lands the published events, and returns when `seen` has them. Without it another process lands them, and is
    waited for, `patience_s` at most: events that have not landed by then may be published again, which changes nothing.
    """

    api: Api
    appender: Appender
    seen: SeenEvents
    settle: Callable[[], Awaitable[None]] | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    longest_wait: timedelta = timedelta(hours=24)
    on_progress: OnProgress = lambda *_: None
    status: ReconcilerStatus = field(default_factory=ReconcilerStatus)
    patience_s: int = 30
    max_body_bytes: int = 1 << 20
    _published: set[str] = field(default_factory=set)
    _last: list[FoundEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        for source in (*ORIGINALS, *STATES):
            self.status.sources.setdefault(source.name, SourceStatus())

    async def run(self, since: timedelta | None = None) -> list[SourceOutcome]:
        """Publish new events, and return an outcome for each source. Raises UnauthorizedError, LogUnavailableError.

        The events that a source gave before it failed are published; the next run goes on from there.
        """
        asking = Asking(self.api, self.seen, self.clock(), self.clock, since, self.longest_wait / 2)
        self.status.begin(asking.now)
        outcomes: list[SourceOutcome] = []
        for source in (*ORIGINALS, *STATES):
            outcome = await self._asked(source, asking)
            outcomes.append(outcome)
            if outcome.fault is not None:
                asking.useless.add(source.name)
            if outcome.forbidden:
                asking.forbidden.add(source.name)
            if source in ORIGINALS:  # their events need not be asked for one by one
                await self._settled()
        await self._settled()
        self.status.end(self.clock())
        return outcomes

    async def _settled(self) -> None:
        if not self._published:
            return
        if self.settle is not None:
            await self.settle()
        else:
            for _ in range(self.patience_s):
                if not self.seen.unseen(self._last):
                    break
                await asyncio.sleep(1)
        self._published.clear()

    async def _asked(self, source: EventSource, asking: Asking) -> SourceOutcome:
        outcome, status = SourceOutcome(source.name), self.status.sources[source.name]
        before, complete = self.api.requests.total(), self.seen.completed(source.name, asking.now)
        try:
            async for finds in source.read(asking):
                if isinstance(finds, Window):
                    if adds(finds, complete):
                        await self._publish([finds.completed(source.name)], asking.now)
                        complete.append(finds)
                    continue
                published = await self._publish(finds, asking.now)
                outcome.read, outcome.published = outcome.read + len(finds), outcome.published + published
                status.read, status.published = status.read + len(finds), status.published + published
                self.on_progress(source.name, outcome.read)
        except UnauthorizedError:
            raise
        except ReconcilerError as error:
            outcome.fault, outcome.forbidden = str(error), isinstance(error, ForbiddenError)
        outcome.requests = self.api.requests.total() - before
        status.fault, status.forbidden = outcome.fault, outcome.forbidden
        if outcome.fault is None:
            status.succeeded_at = self.clock()
        else:
            log.warning("source_not_read", source=source.name, reason=outcome.fault)
        log.info(
            "source_read",
            source=source.name,
            read=outcome.read,
            published=outcome.published,
            requests=outcome.requests,
        )
        return outcome

    async def _publish(self, found: list[FoundEvent], now: datetime) -> int:
        """Append the events that have not landed, each once; returns their number when all are durable.

        A body of more than `max_body_bytes` is left out: ingest takes no webhook that is longer.
        """
        new = {
            each.event_id: each
            for each in found
            if each.event_id not in self._published and len(each.body) <= self.max_body_bytes
        }
        unseen = self.seen.unseen(list(new.values()))
        received_us = int(now.timestamp() * 1_000_000)
        records = [Record(each.body, received_us, Origin.RECONCILER, verified=False) for each in unseen]
        for start in range(0, len(records), GROUP_RECORDS):
            await asyncio.gather(*(self.appender.append(record) for record in records[start : start + GROUP_RECORDS]))
        self._published |= {each.event_id for each in unseen}
        self._last = unseen or self._last
        if self.settle is not None and len(self._published) >= MAX_UNLANDED:
            await self._settled()  # events that lie together in time land at a bounded cost
        return len(unseen)
