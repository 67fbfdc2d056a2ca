"""Landing: a batch of log records becomes events and facts, in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import duckdb
import pyarrow as pa
import structlog

from eventlog.batch import Batch, Positions
from processors.entities import (
    conflicts,
    history,
    identity,
    open_entities,
    twins,
)
from processors.entities.time_ranges import Span
from processors.events import (
    reading,
    rejected,
    stray,
)
from processors.events.reading import (
    Read,
    Said,
    registered,
)
from processors.facts import derivation, digest
from processors.facts.derivation import Judgement
from processors.landing import evaluation, speculation
from processors.landing.speculator import Aside
from processors.outbox import outbox
from warehouse.query import run, value

LONGEST_WAIT = timedelta(hours=24)
"""A visit that nobody has ended for longer than this is `unknown` (METRICS, queue visits)."""

log = structlog.get_logger("landing")


@dataclass(frozen=True, slots=True)
class Landed:
    """What one batch changed. `contradictions` are the rivals of the entities it touched that do not count."""

    records: int
    events: int
    duplicates: int
    rejected: int
    contradictions: int
    facts: dict[str, int]

    def __add__(self, other: "Landed") -> "Landed":
        """What two batches changed together."""
        return Landed(
            self.records + other.records,
            self.events + other.events,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            self.contradictions + other.contradictions,
            {
                table: self.facts.get(table, 0) + other.facts.get(table, 0)
                for table in self.facts.keys() | other.facts.keys()
            },
        )


class Landing:
    """The warehouse's one writer.

    A batch lands wholly or not at all, together with the log positions it reached, so a crash anywhere repeats the
    batch and changes nothing. Not for use by two threads at once.
    """

    def __init__(
        self,
        db: duckdb.DuckDBPyConnection,
        *,
        longest_wait: timedelta = LONGEST_WAIT,
        tells: bool = False,
    ) -> None:
        """Make the warehouse ready; with `tells`, facts that change are noted in the outbox, to be told."""
        self._db = db
        self._tells = tells
        self._longest_wait = longest_wait
        self._aside: Aside | None = None
        self._ahead: WeakKeyDictionary[Batch, Read] = WeakKeyDictionary()
        history.prepare(db)
        agree_on_longest_wait(db, longest_wait)
        digest.note(db)
        if tells:
            outbox.prepare(db)

    def to_be_told(self) -> outbox.Pending:
        """Return changed facts that have not been told, the latest of each."""
        return outbox.pending(self._db)

    def told(self, up_to: int) -> None:
        """Forget what has been told: what `to_be_told` gave, once whoever listens has it."""
        outbox.told(self._db, up_to)

    def untold(self) -> int:
        """How many changes of facts wait to be told."""
        return int(value(self._db, "select count(*) from unpublished_facts"))

    def landed_before(self, now: datetime, keep: timedelta) -> tuple[datetime, Positions]:
        """Which records came longer ago than `keep`, whatever a clock that jumped says (`evaluation.landed_before`)."""
        return evaluation.landed_before(self._db, now, keep)

    def positions(self) -> Positions:
        """The last offset that landed, by partition."""
        rows = run(self._db, "select log_partition, log_offset from log_positions").fetchall()
        return dict(rows)

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

    def land(self, batch: Batch, now: datetime) -> Landed:
        """Land the batch; what has landed before changes nothing.

        An empty batch only lets time pass. `now` stamps what is stored and is the clock by which waiting visits become
        unknown. Where it is earlier than in the landing before, what was unknown by then alone waits again.
        """
        batch = batch.after(self.positions())  # a log may hand out again what has landed
        with self._read(batch) as read, transaction(self._db):
            return self._land(read, batch.reached(), now)

    def land_again(self, batch: Batch, now: datetime) -> Landed:
        """Land records out of `rejected` with what they were received with; the log's positions stay as they are.

        What can be read now leaves `rejected`, for it is an event, or one that is known. The rest stays there as it is.
        """
        with self._read(batch) as read, transaction(self._db):
            return self._land(read, {}, now, again=True)

    def read_ahead(self, batch: Batch) -> None:
        """Read the batch that will be landed next. In another thread than the one that lands, and one at a time.

        What cannot be read is left to landing, which will meet the same error and can deal with it.
        """
        try:
            if self._aside is None:
                self._aside = Aside()
            self._ahead[batch] = self._aside.read(batch)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            log.warning("not_read_ahead", records=len(batch), reason=type(error).__name__)  # its text may be of a body

    @contextmanager
    def _read(self, batch: Batch) -> Iterator[Read]:
        """Make `fresh`, what each record says; in a transaction of its own, because it is read faster after that.

        While this lasts the records themselves are `delivered`, and what was read ahead of its turn is `said_ahead`.
        """
        ahead = self._ahead.pop(batch, None)
        with registered(self._db, delivered=batch.table):
            if ahead is None:
                yield Read(reading.read(self._db))
                return
            foreseen = {} if ahead.foreseen is None else ahead.foreseen.tables()
            with registered(self._db, said_ahead=ahead.events, **foreseen):
                run(self._db, "create or replace temp table fresh as select * exclude (text) from said_ahead")
                yield ahead

    def _land(self, read: Read, reached: Positions, now: datetime, *, again: bool = False) -> Landed:
        db, said = self._db, read.said
        evaluated_before = evaluation.last(db)
        judgement = Judgement(evaluation.evaluation_time(db, now), self._longest_wait)
        self._advance(reached, now, judgement)
        run(
            db,
            "create or replace temp table reopened as select entity, entity_since as moment from queue_visits limit 0",
        )
        unreadable = 0
        if again:
            unreadable = rejected.release(db)
        elif said.rejected:
            unreadable = rejected.keep(db, now)
        spans, contradicting = self._drop_known(said, now)
        self._reopen(evaluated_before, judgement)
        facts: dict[str, int] = {}
        if (open_before := history.look_up(db, spans, judgement.at)) is not None:
            if read.foreseen is not None:
                speculation.settle(db, read.foreseen.facts)
            lasting = history.find_touched(db, "fresh", besides="" if read.foreseen is None else "foreseen")
            derived = derivation.derive(db, judgement)
            facts = derivation.replace(db, derived, noted=self._tells)
            if lasting or any(start < open_before for start, _ in derived.spans):
                open_entities.note(db, open_before, now)
            if derived.disputed:
                contradicting += conflicts.remember(db, derived.spans, now)
            if derived.twinned:
                twins.remember(db, derived.spans, now)
            if read.foreseen is not None:
                for table in read.foreseen.facts:
                    facts[table] = facts.get(table, 0) + speculation.keep(db, table, noted=self._tells)
                speculation.keep_open(db, open_before, now)
        events = self._keep_events(read, now)
        duplicates = said.records - unreadable - events
        return Landed(said.records, events, duplicates, unreadable, contradicting, facts)

    def _drop_known(self, said: Said, now: datetime) -> tuple[list[Span], int]:
        """Leave in `fresh` the events that the warehouse does not hold.

        Returns the spans in which all of them lie, and how many do not count.
        """
        db = self._db
        spans = said.spans
        if said.undated:
            # An event without a time of its own keeps the time at which it was first received.
            run(
                db,
                """
                update fresh set occurred_at = first.occurred_at
                from (
                    select event_id, min_by(occurred_at, nth) as occurred_at
                    from (
                        select event_id, occurred_at, (log_partition, log_offset) as nth
                        from fresh where occurred_at_source = 'received_at'
                        union all
                        select event_id, occurred_at, (-1, -1) from undated_events
                    )
                    group by event_id
                ) as first
                where occurred_at_source = 'received_at' and fresh.event_id = first.event_id
                """,
            )
            spans = history.spans_of(db, "fresh", "occurred_at")
        identity.settle(db, spans, alone=said.alone)
        if said.repeats:
            conflicts.drop_repeated(db)
        known = conflicts.drop_known(db, spans, repeated=said.repeats)
        return spans, conflicts.settle_others(db, spans, now) if known or said.repeats else 0

    def _keep_events(self, read: Read, now: datetime) -> int:
        """Append `fresh` to `stored_events`, with the bodies as they came."""
        db, said = self._db, read.said
        source = "delivered join fresh using (log_partition, log_offset)"
        if read.events is not None and not said.undated and value(db, "select count(*) from fresh") == said.records:
            source = "said_ahead as fresh"  # nothing was left out or dated anew, and no join is needed
        kept: int = value(
            db,
            f"""
            insert into stored_events
            select
                event_id, event_type, occurred_at, occurred_at_source, fresh.received_at, $now, fresh.origin,
                fresh.verified, entity, call_control_id, call_leg_id, call_session_id, connection_id, conference_id,
                queue, direction, from_number, to_number, reason, hangup_source, position, reported_wait_secs, details,
                text, log_partition, log_offset
            from {source}
            """,
            {"now": now},
        )
        if said.undated:
            run(
                db,
                """
                insert into undated_events
                select distinct event_id, occurred_at from fresh
                where occurred_at_source = 'received_at'
                and event_id not in (select event_id from undated_events)
                """,
            )
        if said.joins:
            run(db, f"insert into participant_joins {history.joins('fresh', history.STORED)}")
        if said.alone:
            run(
                db,
                f"""
                insert into legs_without_control
                select event_id, call_leg_id, occurred_at, entity from fresh where {identity.ALONE}
                """,
            )
        stray.note(db, said.spans, now)
        return kept

    def _reopen(self, evaluated_before: datetime | None, judgement: Judgement) -> None:
        """Add to `reopened`: entities whose facts may be different although nothing new was heard of them."""
        db = self._db
        if evaluated_before is not None:
            # Time alone makes a waiting visit unknown, counted from when it was last seen waiting; and a clock that is
            # set back, or right again, makes it wait again.
            start, end = sorted(at - self._longest_wait for at in (evaluated_before, judgement.at))
            run(
                db,
                """
                insert into reopened
                select entity, entity_since from queue_visits
                where outcome = $outcome and enqueued_at > $start and enqueued_at <= $end
                union all
                select entity, entity_since from queue_visits
                where outcome = $outcome and seen_waiting_at > $start and seen_waiting_at <= $end
                """,
                {
                    "outcome": "waiting" if judgement.at >= evaluated_before else "unknown",
                    "start": start,
                    "end": end,
                },
            )
        # A connection's first bridge ever changes what its unconfirmed answers mean: once a connection, so unbounded.
        if value(
            db,
            """
            insert into bridged_connections
            select distinct connection_id from fresh
            where event_type = 'call.bridged' and connection_id is not null
            and connection_id not in (from bridged_connections)
            """,
        ):
            run(
                db,
                """
                insert into reopened
                select entity, entity_since from queue_visits
                where reason = 'bridging-in-process' and outcome = 'answered'
                and connection_id in (select connection_id from fresh where event_type = 'call.bridged')
                """,
            )

    def _advance(self, reached: Positions, now: datetime, judgement: Judgement) -> None:
        db = self._db
        landed = self.positions()
        for partition, offset in reached.items():
            if partition not in landed:
                run(db, "insert into log_positions values (?, ?, ?)", [partition, offset, now])
            else:
                run(
                    db,
                    "update log_positions set log_offset = ?, landed_at = ? where log_partition = ?",
                    [offset, now, partition],
                )
        run(db, "update warehouse set judged_at = ?", [judgement.at])


def agree_on_longest_wait(db: duckdb.DuckDBPyConnection, longest_wait: timedelta) -> None:
    """Note in a new warehouse how long a visit may last; raise ValueError if facts were derived with another length."""
    wanted = longest_wait // timedelta(milliseconds=1)
    held = value(db, "select longest_wait_ms from warehouse")
    if held is None:
        run(db, "update warehouse set longest_wait_ms = ?", [wanted])
    elif held != wanted:
        raise ValueError(
            f"the warehouse's facts hold for a longest wait of {held} ms, the configuration says {wanted} ms: "
            "run `holdtime rebuild`, or set it back"
        )


@contextmanager
def transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    db.begin()
    try:
        yield
    except duckdb.FatalException:
        raise  # nothing can be rolled back: the file is as it was, and this process must reopen it
    except BaseException:
        db.rollback()
        raise
    db.commit()
