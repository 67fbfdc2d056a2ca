"""The processor: reads the log, lands what it says, and publishes the replica, until it is told to stop."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import structlog

from ingest.log import Batch, LogUnavailableError, Positions, Reader
from processors.delivered import NOTHING, part
from processors.landing import Landed, Landing
from processors.metrics import ProcessorMetrics

MOST_RECORDS = 100_000
"""A batch of more is not landed any faster, and takes more memory."""

IDLE_S = 0.05
RETRY_S = 1.0
TIME_PASSES = timedelta(minutes=1)
"""How often time alone is landed, so that a waiting visit becomes unknown in an idle center too."""

FORGET_EVERY = timedelta(hours=1)

BAD_DATA = (duckdb.DataError, duckdb.InvalidInputException, duckdb.IntegrityError)
"""What DuckDB raises for a value that it cannot take, as against a disk or a statement that it cannot."""

log = structlog.get_logger("processor")


@dataclass(slots=True)
class Progress:
    """How far the processor is. Written by its thread, read by any."""

    landed: Positions = field(default_factory=dict)
    last_landed_at: datetime | None = None
    replica_at: datetime | None = None


@dataclass(slots=True)
class Processor:
    """Lands batches one after the other. `run` belongs in a thread of its own, and so does everything it is given.

    `publish` puts out the replica; it is called when something landed and the last copy is `publish_every` old, or
    ten times as old as a copy takes, so that copying never takes more than a tenth of the time.
    """

    reader: Reader
    landing: Landing
    publish: Callable[[], None]
    metrics: ProcessorMetrics
    publish_every: timedelta = timedelta(seconds=2)
    keep_landed: timedelta = timedelta(days=7)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    progress: Progress = field(default_factory=Progress)

    def run(self, stop: threading.Event, *, drain_for: timedelta = timedelta(seconds=10)) -> None:
        """Land until `stop` is set, then what the log still holds for up to `drain_for`, and publish.

        A log that cannot be read now is asked again. Whatever else is raised is raised: what has landed is safe, and
        the process had better start anew.
        """
        self.progress.landed = self.landing.positions()
        self._publish()
        published, forgot, ticked = self.clock(), datetime.min.replace(tzinfo=UTC), self.clock()
        pause, unpublished = self.publish_every, False
        while not stop.is_set():
            landed = self._step()
            now = self.clock()
            if not landed and now - ticked >= TIME_PASSES:
                landed = any(self.landing.land(NOTHING, now).facts.values())
                ticked = now
            unpublished = unpublished or landed
            if unpublished and now - published >= pause:
                took = self._publish()
                published, unpublished = self.clock(), False
                pause = max(self.publish_every, 10 * took)
            if now - forgot >= FORGET_EVERY:
                self._forget(now)
                forgot = now
            if not landed:
                stop.wait(IDLE_S)
        give_up = self.clock() + drain_for
        while self.clock() < give_up and self._step():
            pass
        self._publish()

    def _step(self) -> bool:
        """Land one batch; returns whether there was one."""
        try:
            batch = self.reader.read(self.progress.landed, MOST_RECORDS)
        except LogUnavailableError as error:
            log.warning("log_unreadable", reason=str(error), retry_s=RETRY_S)
            threading.Event().wait(RETRY_S)
            return False
        if not len(batch):
            return False
        with self.metrics.landing_seconds.time():
            landed = self._land(batch)
        self.progress.landed = self.landing.positions()
        self.progress.last_landed_at = self.clock()
        self.metrics.count(landed)
        log.info(
            "batch_landed",
            records=landed.records,
            events=landed.events,
            duplicates=landed.duplicates,
            rejected=landed.rejected,
            **landed.facts,
        )
        return True

    def _land(self, batch: Batch) -> Landed:
        """Land the batch; if DuckDB cannot take something in it, find that record by halving and reject it alone."""
        try:
            return self.landing.land(batch, self.clock())
        except BAD_DATA as error:
            if len(batch) == 1:
                log.error("record_unlandable", partition=batch.partitions[0], offset=batch.offsets[0])
                return self.landing.land(
                    part(batch, 0, None, rejection=f"unlandable:{type(error).__name__}"), self.clock()
                )
        half = len(batch) // 2
        return self._land(part(batch, 0, half)) + self._land(part(batch, half, None))

    def _publish(self) -> timedelta:
        began = self.clock()
        try:
            self.publish()
        except OSError as error:
            log.error("replica_not_published", reason=str(error))
        else:
            self.progress.replica_at = began
        return self.clock() - began

    def _forget(self, now: datetime) -> None:
        try:
            forgotten = self.reader.forget(self.progress.landed, int((now - self.keep_landed).timestamp() * 1_000_000))
        except LogUnavailableError as error:
            log.warning("log_not_trimmed", reason=str(error))
        else:
            if forgotten:
                log.info("log_trimmed", records=forgotten)
