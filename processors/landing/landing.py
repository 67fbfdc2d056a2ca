"""Landing: a batch of log records becomes events and facts, in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import duckdb

from eventlog.batch import Batch, Positions
from processors.events import columns, reading
from processors.events.reading import Summary, registered
from processors.facts import EVENT_TYPES, digest
from processors.landing import evaluation, pipeline, positions
from processors.landing.evaluation import LONGEST_WAIT
from processors.landing.landed import Landed
from processors.landing.prepared import Prepared, Read
from processors.outbox.outbox import Outbox
from warehouse.query import run
from warehouse.transaction import transaction


class Landing:
    """The warehouse's one writer.

    A batch lands wholly or not at all, together with the log positions that it reached. Not for use by two threads at
    once. `outbox` is where changed facts wait to be published; None where nobody publishes them.
    """

    def __init__(
        self, db: duckdb.DuckDBPyConnection, *, longest_wait: timedelta = LONGEST_WAIT, publishes: bool = False
    ) -> None:
        """Make the warehouse ready. Raises ValueError where its facts were derived with another longest wait."""
        self._db = db
        self._longest_wait = longest_wait
        columns.prepare(db, EVENT_TYPES)
        evaluation.require_longest_wait(db, longest_wait)
        digest.note(db)
        self.outbox = Outbox(db) if publishes else None

    def positions(self) -> Positions:
        """The last offset that landed, by partition."""
        return positions.landed(self._db)

    def landed_before(self, now: datetime, keep: timedelta) -> tuple[datetime, Positions]:
        """The records that came longer than `keep` ago, by `evaluation.landed_before`."""
        return evaluation.landed_before(self._db, now, keep)

    def bodies_at(self, partition: int, offsets: list[int]) -> dict[int, bytes]:
        """Return the bodies of the events that landed from those positions, by offset; of duplicates there are none."""
        rows = run(
            self._db,
            """
            select log_offset, body from stored_events
            where log_partition = ? and log_offset between ? and ? and log_offset in (select unnest(?::bigint[]))
            """,
            [partition, min(offsets, default=0), max(offsets, default=0), offsets],
        ).fetchall()
        return {offset: body.encode() for offset, body in rows}

    def land(self, batch: Batch | Prepared, now: datetime) -> Landed:
        """Land the batch; records that landed before change nothing.

        An empty batch only lets time pass. `now` stamps the rows and is the clock by which waiting visits become
        unknown. Where it is earlier than in the landing before, a visit that was unknown by then alone waits again.
        """
        prepared = batch if isinstance(batch, Prepared) else Prepared(batch)
        left = prepared.batch.after(self.positions())  # a log may hand out again what has landed
        read = prepared.read if left is prepared.batch else None  # it is of the whole batch
        return self._land(left, read, left.reached(), now)

    def reprocess(self, batch: Batch, now: datetime) -> Landed:
        """Land records out of `rejected` with what they were received with; the log's positions stay as they are.

        A record that can be read now leaves `rejected`: it is an event, or a duplicate. The rest stays there.
        """
        return self._land(batch, None, {}, now, reprocess=True)

    def _land(
        self, batch: Batch, read: Read | None, reached: Positions, now: datetime, *, reprocess: bool = False
    ) -> Landed:
        with self._fresh(batch, read) as summary, transaction(self._db):
            return pipeline.land(
                self._db,
                summary,
                read,
                reached=reached,
                now=now,
                longest_wait=self._longest_wait,
                outbox=self.outbox,
                reprocess=reprocess,
            )

    @contextmanager
    def _fresh(self, batch: Batch, read: Read | None) -> Iterator[Summary]:
        """Make `fresh` of the batch; in a transaction of its own, because statements read it faster after that.

        While this lasts the records are `delivered`, and a batch that was read ahead is `said_ahead` and `foreseen_*`.
        """
        with registered(self._db, delivered=batch.table):
            if read is None:
                yield reading.read(self._db)
                return
            speculated = {} if read.speculation is None else read.speculation.tables()
            with registered(self._db, said_ahead=read.events, **speculated):
                run(self._db, "create or replace temp table fresh as select * exclude (text) from said_ahead")
                yield read.summary
