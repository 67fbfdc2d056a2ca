"""The processor: reads the log, lands what it says, and publishes the replica, until it is told to stop."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import structlog

from ingest.batch import NOTHING, Batch, Positions
from ingest.log import LogUnavailableError, Reader
from processors.ahead import ReadAhead
from processors.landing import Landed, Landing
from processors.metrics import ProcessorMetrics
from processors.outbox import Change
from processors.telling import Telling
from warehouse.database import ROW_GROUP_SIZE

MOST_RECORDS = 4 * ROW_GROUP_SIZE
"""A batch of more is not landed any faster, and takes more memory.

One that fills row groups is compressed once; a rest that fills none would be compressed again with what comes next.
"""

IDLE_S = 0.05
RETRY_S = 1.0
TIME_PASSES = timedelta(minutes=1)
"""How often time alone is landed, so that a waiting visit becomes unknown in an idle center too."""

TRIM_EVERY = timedelta(hours=1)

BAD_DATA = (duckdb.DataError, duckdb.InvalidInputException, duckdb.IntegrityError)
"""What DuckDB raises for a value that it cannot take, as against a disk or a statement that it cannot."""

log = structlog.get_logger("processor")


@dataclass(slots=True)
class Progress:
    """How far the processor is. Written by its thread, read by any."""

    landed: Positions = field(default_factory=dict)
    last_landed_at: datetime | None = None
    replica_at: datetime | None = None
    publishing: bool = False


@dataclass(slots=True)
class Processor:
    """Lands batches one after the other. `run` belongs in a thread of its own, and so does everything it is given.

    `publish` puts out the replica; it is called when something landed and the last copy is `publish_every` old, or
    ten times as old as a copy takes, so that copying never takes more than a tenth of the time. `tell` publishes
    facts that changed, for a landing that tells.
    """

    reader: Reader
    landing: Landing
    publish: Callable[[], None]
    metrics: ProcessorMetrics
    tell: Callable[[list[Change]], None] | None = None
    publish_every: timedelta = timedelta(seconds=2)
    keep_landed: timedelta = timedelta(days=7)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    progress: Progress = field(default_factory=Progress)

    def run(self, stop: threading.Event, *, drain_for: timedelta = timedelta(seconds=10)) -> None:
        """Land until `stop` is set, then what the log still holds for up to `drain_for`, and publish.

        A log or a disk that cannot serve now is asked again. Whatever else is raised is raised: what has landed is
        safe, and the process had better start anew.
        """
        with ReadAhead(self.reader, MOST_RECORDS, self.landing.read_ahead) as reading, ExitStack() as stack:
            telling = stack.enter_context(Telling(self.landing, self.tell)) if self.tell else None
            self._run(reading, telling, stop, drain_for)

    def land_next(self) -> Landed | None:
        """Land the log's next batch, for whoever has log and warehouse to himself; None when all has landed.

        Raises LogUnavailableError, and duckdb.IOException where the disk cannot serve: what has landed is safe.
        """
        batch = self.reader.read(self.landing.positions(), MOST_RECORDS)
        return self._land(batch) if len(batch) else None

    def _run(self, reading: ReadAhead, telling: Telling | None, stop: threading.Event, drain_for: timedelta) -> None:
        self.progress.landed = self.landing.positions()
        self._publish()
        publishing = _Duty(self.publish_every, self.clock())
        trimming = _Duty(TRIM_EVERY, self.clock() - TRIM_EVERY)
        ticking = _Duty(TIME_PASSES, self.clock())
        unpublished = False
        while not stop.is_set():
            landed = self._step(reading)
            self._tell(telling)
            now = self.clock()
            if not landed and ticking.is_due(now):
                landed = self._let_time_pass(now)
            unpublished = unpublished or landed
            if unpublished and publishing.is_due(now):
                publishing.every = max(self.publish_every, 10 * self._publish())
                unpublished = False
            if trimming.is_due(now):
                self._trim(now)
            if not landed:
                stop.wait(IDLE_S)
        give_up = self.clock() + drain_for
        while self.clock() < give_up and (self._step(reading) or self._tell(telling, wait_s=IDLE_S)):
            pass
        self._publish()

    def _step(self, reading: ReadAhead) -> bool:
        """Land one batch; returns whether there was one, and it landed."""
        try:
            batch = reading.read(self.progress.landed)
            if not len(batch):
                return False
            with self.metrics.landing_seconds.time():
                landed = self._land(batch)
        except (LogUnavailableError, duckdb.IOException) as error:
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

    def _tell(self, telling: Telling | None, *, wait_s: float = 0.0) -> bool:
        """Go on telling what changed, if anybody is to be told; returns whether anything is under way."""
        if telling is None:
            return False
        try:
            self.metrics.untold.set(self.landing.untold())
            return telling.go_on(wait_s=wait_s)
        except (LogUnavailableError, duckdb.IOException) as error:
            log.warning("facts_not_told", reason=str(error))
            return False

    def _let_time_pass(self, now: datetime) -> bool:
        """Land nothing but the time; returns whether that changed a fact."""
        try:
            return any(self.landing.land(NOTHING, now).facts.values())
        except duckdb.IOException as error:
            log.error("not_landed", reason=str(error))
            return False

    def _land(self, batch: Batch) -> Landed:
        """Land the batch; by halves if it is too large, down to a record that cannot land, which is rejected."""
        try:
            return self.landing.land(batch, self.clock())
        except (*BAD_DATA, duckdb.OutOfMemoryException) as error:
            if len(batch) == 1:
                if not isinstance(error, BAD_DATA):
                    raise
                log.error("record_unlandable", partition=batch.partitions[0], offset=batch.offsets[0])
                return self.landing.land(batch.rejected(f"unlandable:{type(error).__name__}"), self.clock())
        half = len(batch) // 2
        return self._land(batch.part(0, half)) + self._land(batch.part(half))

    def _publish(self) -> timedelta:
        """Put out the replica; returns how long that took."""
        at, began = self.clock(), time.monotonic()
        self.progress.publishing = True
        try:
            self.publish()
        except (OSError, duckdb.IOException) as error:
            log.error("replica_not_published", reason=str(error))
        else:
            self.progress.replica_at = at
        finally:
            self.progress.publishing = False
        return timedelta(seconds=time.monotonic() - began)

    def _trim(self, now: datetime) -> None:
        """Let the log forget what landed long enough ago, by the clock and by what the last events say."""
        before, positions = self.landing.landed_before(now, self.keep_landed)
        try:
            forgotten = self.reader.forget(positions, int(before.timestamp() * 1_000_000))
        except LogUnavailableError as error:
            log.warning("log_not_trimmed", reason=str(error))
        else:
            if forgotten:
                log.info("log_trimmed", records=forgotten)


@dataclass(slots=True)
class _Duty:
    """Something to be done now and then."""

    every: timedelta
    done_at: datetime

    def is_due(self, now: datetime) -> bool:
        """Say whether it is time, and if so take it as done."""
        if timedelta(0) <= now - self.done_at < self.every:  # a clock that was set back is no reason to wait
            return False
        self.done_at = now
        return True
