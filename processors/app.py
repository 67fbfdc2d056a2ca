"""The processor: it reads the log, lands the batches, and publishes the replica, until it is stopped."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from eventlog.batch import EMPTY_BATCH, Batch
from eventlog.log import LogReader, LogUnavailableError
from processors.landing.halving import by_halves
from processors.landing.landed import Landed
from processors.landing.landing import Landing
from processors.landing.prefetcher import Prefetcher
from processors.landing.prepared import Prepared
from processors.landing.speculator import Preparer
from processors.metrics import ProcessorMetrics
from processors.outbox.outbox import Change
from processors.outbox.relay import Relay
from processors.progress import Duty, Progress
from processors.publishing import Publishing, ReplicaPublisher
from warehouse.database import ROW_GROUP_SIZE

MAX_RECORDS = 4 * ROW_GROUP_SIZE
"""A batch of more is not landed any faster, and takes more memory.

One that fills row groups is compressed once; a rest that fills none would be compressed again with what comes next.
"""

IDLE_S = 0.05
RETRY_S = 1.0
TIME_PASSES = timedelta(minutes=1)
"""How often time alone is landed, so that a waiting visit becomes unknown in an idle center too."""

TRIM_EVERY = timedelta(hours=1)

log = structlog.get_logger("processor")


@dataclass(slots=True)
class Processor:
    """Lands batches one after the other. `run` belongs in a thread of its own, and so does everything it is given.

    `publisher` puts out the replica when something landed and the last copy is `publish_every` old, or ten times as old
    as a copy takes. `publish_changes` publishes facts that changed, for a landing with an outbox.
    """

    reader: LogReader
    landing: Landing
    publisher: ReplicaPublisher
    metrics: ProcessorMetrics
    publish_changes: Callable[[list[Change]], None] | None = None
    publish_every: timedelta = timedelta(seconds=2)
    keep_landed: timedelta = timedelta(days=7)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    progress: Progress = field(default_factory=Progress)

    def run(self, stop: threading.Event, *, drain_for: timedelta = timedelta(seconds=10)) -> None:
        """Land until `stop` is set, then what the log still holds for up to `drain_for`, and publish.

        A log that cannot serve now is asked again, and a replica that cannot be put out is tried again. Whatever else
        is raised, by the warehouse's disk say, is raised: what has landed is safe, and the warehouse has to be opened
        anew.
        """
        self.progress.landed = self.landing.positions()
        with (
            Prefetcher(self.reader, MAX_RECORDS, Preparer()) as reading,
            Publishing(self.publisher, self.progress, self.metrics, self.clock, self.publish_every) as publishing,
            ExitStack() as stack,
        ):
            relay = None
            if self.publish_changes and self.landing.outbox:
                relay = stack.enter_context(Relay(self.landing.outbox, self.publish_changes))
            self._run(reading, publishing, relay, stop, drain_for)

    def land_next(self) -> Landed | None:
        """Land the log's next batch, for whoever has log and warehouse to himself; None when all has landed.

        Raises LogUnavailableError, and duckdb.Error where the disk cannot serve: what has landed is safe.
        """
        batch = self.reader.read(self.landing.positions(), MAX_RECORDS)
        return self._land(Prepared(batch)) if len(batch) else None

    def _run(
        self,
        reading: Prefetcher,
        publishing: Publishing,
        relay: Relay | None,
        stop: threading.Event,
        drain_for: timedelta,
    ) -> None:
        publishing.now()
        trimming = Duty(TRIM_EVERY, self.clock() - TRIM_EVERY)
        ticking = Duty(TIME_PASSES, self.clock())
        while not stop.is_set():
            landed = self._step(reading)
            self._publish(relay)
            now = self.clock()
            if not landed and ticking.is_due(now):
                landed = self._let_time_pass(now)
            publishing.go_on(changed=landed)
            if trimming.is_due(now):
                self._trim(now)
            if not landed:
                stop.wait(IDLE_S)
        give_up = self.clock() + drain_for
        while self.clock() < give_up and (self._step(reading) or self._publish(relay, wait_s=IDLE_S)):
            pass
        publishing.now()

    def _step(self, reading: Prefetcher) -> bool:
        """Land one batch; returns whether there was one, and it landed."""
        try:
            prepared = reading.read(self.progress.landed)
            batch = prepared.batch
            if not len(batch):
                return False
            with self.metrics.landing_seconds.time():
                landed = self._land(prepared)
        except LogUnavailableError as error:
            log.error("not_landed", reason=str(error), retry_s=RETRY_S)
            time.sleep(RETRY_S)
            return False
        self.progress.landed = self.landing.positions()
        self.progress.last_landed_at = self.clock()
        self.metrics.count(landed, batch, self.progress.last_landed_at)
        log.info(
            "batch_landed",
            records=landed.records,
            events=landed.events,
            duplicates=landed.duplicates,
            rejected=landed.rejected,
            contradictions=landed.contradictions,
            **landed.facts,
        )
        return True

    def _publish(self, relay: Relay | None, *, wait_s: float = 0.0) -> bool:
        """Go on publishing changes, if anybody wants them; returns whether any are under way."""
        if relay is None:
            return False
        try:
            self.metrics.untold.set(relay.outbox.backlog())
            return relay.go_on(wait_s=wait_s)
        except LogUnavailableError as error:
            log.warning("facts_not_told", reason=str(error))
            return False

    def _let_time_pass(self, now: datetime) -> bool:
        """Land nothing but the time; returns whether that changed a fact."""
        return any(self.landing.land(EMPTY_BATCH, now).facts.values())

    def _land(self, prepared: Prepared) -> Landed:
        """Land the batch; by halves if it is too large, down to a record that cannot land, which is rejected."""

        def land(part: Batch) -> Landed:
            return self.landing.land(prepared if part is prepared.batch else part, self.clock())

        return by_halves(prepared.batch, land, self._reject)

    def _reject(self, record: Batch, error: Exception) -> Landed:
        log.error("record_unlandable", partition=record.partitions[0], offset=record.offsets[0])
        return self.landing.land(record.rejected(f"unlandable:{type(error).__name__}"), self.clock())

    def _trim(self, now: datetime) -> None:
        """Let the log forget what is old enough, by the clock and the last events, and in a replica that will last."""
        try:
            if self.progress.published:
                self.publisher.make_last()
            before, landed = self.landing.landed_before(now, self.keep_landed)
            published = self.progress.published
            safe = {each: min(landed[each], published[each]) for each in landed.keys() & published.keys()}
            forgotten = self.reader.forget(safe, int(before.timestamp() * 1_000_000))
        except (LogUnavailableError, OSError) as error:
            log.warning("log_not_trimmed", reason=str(error))
        else:
            if forgotten:
                log.info("log_trimmed", records=forgotten)
