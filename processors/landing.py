"""Landing: a batch of log records becomes events and facts, in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files

import duckdb
import pyarrow as pa

from ingest.log import Batch, Positions
from processors import definitions, derivation, history
from processors.delivered import as_arrow
from processors.derivation import Judgement
from warehouse.query import value

LONGEST_WAIT = timedelta(hours=24)
"""A visit that nobody has ended for longer than this is `unknown` (METRICS, queue visits)."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What one batch changed."""

    records: int
    events: int
    duplicates: int
    rejected: int
    facts: dict[str, int]

    def __add__(self, other: "Landed") -> "Landed":
        """What two batches changed together."""
        return Landed(
            self.records + other.records,
            self.events + other.events,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
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

    def __init__(self, db: duckdb.DuckDBPyConnection, *, longest_wait: timedelta = LONGEST_WAIT) -> None:
        self._db = db
        self._longest_wait = longest_wait
        history.prepare(db)
        agree_on_longest_wait(db, longest_wait)
        definitions.note(db)

    def positions(self) -> Positions:
        """The last offset that landed, by partition."""
        rows = self._db.execute("select log_partition, log_offset from log_positions").fetchall()
        return dict(rows)

    def land(self, batch: Batch | pa.Table, now: datetime) -> Landed:
        """Land the batch, or the table that `as_arrow` made of it; what has landed before changes nothing.

        An empty batch only lets time pass. `now` stamps what is stored and is the clock by which waiting visits become
        unknown; it never runs backwards in a warehouse, whatever is passed.
        """
        db = self._db
        with _registered(db, as_arrow(batch) if isinstance(batch, Batch) else batch):
            db.execute(_sql("events"))  # makes `fresh`, what each record says; once it is committed it is read faster
            with transaction(db):
                return self._land(now)

    def _land(self, now: datetime) -> Landed:
        db = self._db
        judged_before, judgement = self._judgement(now)
        self._advance(now, judgement)
        records = int(value(db, "select count(*) from fresh"))
        rejected = self._keep_rejected(now)
        self._drop_known()
        self._reopen(judged_before, judgement)
        facts: dict[str, int] = {}
        if history.find_touched(db, reach=self._longest_wait):
            derived = derivation.derive(db, judgement)
            facts = derivation.replace(db, derived, history.spans_of(db, "touched", "occurred_at"))
        events = self._keep_events(now)
        return Landed(records, events, records - rejected - events, rejected, facts)

    def _judgement(self, now: datetime) -> tuple[datetime | None, Judgement]:
        stored = value(self._db, "select epoch_us(judged_at) from warehouse")
        before = None if stored is None else history.instant(stored)
        return before, Judgement(max(now, before or now), self._longest_wait)

    def _keep_rejected(self, now: datetime) -> int:
        """Move what is not an event out of `fresh`, with its bytes and the reason."""
        db = self._db
        if not value(db, "select count(rejection) from fresh"):
            return 0
        rejected: int = value(
            db,
            """
            insert into rejected
            select
                said.rejection, said.received_at, $now, said.origin, said.verified, body, log_partition, log_offset
            from fresh as said join delivered using (log_partition, log_offset)
            where said.rejection is not null
            """,
            {"now": now},
        )
        db.execute("delete from fresh where rejection is not null")
        return rejected

    def _drop_known(self) -> None:
        """Leave in `fresh` the events that the warehouse does not hold, each id once."""
        db = self._db
        # An event without a time of its own keeps the time at which it was first received.
        if value(db, "select count(*) from fresh where occurred_at_source = 'received_at'"):
            db.execute(
                """
                update fresh set occurred_at = undated_events.occurred_at
                from undated_events
                where occurred_at_source = 'received_at' and fresh.event_id = undated_events.event_id
                """
            )
        db.execute("create or replace temp table known (event_id varchar)")
        for start, end in history.spans_of(db, "fresh", "occurred_at"):
            db.execute(
                """
                insert into known
                select event_id from stored_events
                where occurred_at >= ? and occurred_at < ? and event_id in (select event_id from fresh)
                """,
                [start, end],
            )
        if value(db, "select count(*) from known"):
            db.execute("delete from fresh where event_id in (from known)")
        if value(db, "select count(*) > count(distinct event_id) from fresh"):
            db.execute(
                "delete from fresh where rowid not in (select min_by(rowid, log_offset) from fresh group by event_id)"
            )

    def _keep_events(self, now: datetime) -> int:
        """Append `fresh` to `stored_events`, with the bodies as they came."""
        db = self._db
        kept: int = value(
            db,
            """
            insert into stored_events
            select
                event_id, event_type, occurred_at, occurred_at_source, fresh.received_at, $now, fresh.origin,
                fresh.verified, entity, call_control_id, call_leg_id, call_session_id, connection_id, conference_id,
                queue, reason, position, reported_wait_secs, text, log_partition, log_offset
            from delivered join fresh using (log_partition, log_offset)
            """,
            {"now": now},
        )
        db.execute(
            """
            insert into undated_events
            select event_id, occurred_at from fresh where occurred_at_source = 'received_at'
            """
        )
        return kept

    def _reopen(self, judged_before: datetime | None, judgement: Judgement) -> None:
        """Make `reopened`: entities whose facts may be different although nothing new was heard of them."""
        db = self._db
        db.execute(
            "create or replace temp table reopened as select entity, entity_since as moment from queue_visits limit 0"
        )
        if judged_before is not None:
            # Time alone makes a waiting visit unknown.
            db.execute(
                """
                insert into reopened
                select entity, entity_since from queue_visits
                where outcome = 'waiting' and enqueued_at > ? and enqueued_at <= ?
                """,
                [judged_before - self._longest_wait, judgement.at - self._longest_wait],
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
            db.execute(
                """
                insert into reopened
                select entity, entity_since from queue_visits
                where reason = 'bridging-in-process' and outcome = 'answered'
                and connection_id in (select connection_id from fresh where event_type = 'call.bridged')
                """
            )

    def _advance(self, now: datetime, judgement: Judgement) -> None:
        db = self._db
        db.execute(
            """
            merge into log_positions using (
                select log_partition, max(log_offset) as log_offset from fresh group by log_partition
            ) as reached
            on log_positions.log_partition = reached.log_partition
            when matched then update set log_offset = reached.log_offset, landed_at = $now
            when not matched then insert values (reached.log_partition, reached.log_offset, $now)
            """,
            {"now": now},
        )
        db.execute("update warehouse set judged_at = ?", [judgement.at])


def agree_on_longest_wait(db: duckdb.DuckDBPyConnection, longest_wait: timedelta) -> None:
    """Note in a new warehouse how long a visit may last; raise ValueError if facts were derived with another length."""
    wanted = longest_wait // timedelta(milliseconds=1)
    held = value(db, "select longest_wait_ms from warehouse")
    if held is None:
        db.execute("update warehouse set longest_wait_ms = ?", [wanted])
    elif held != wanted:
        raise ValueError(
            f"the warehouse's facts hold for a longest wait of {held} ms, the configuration says {wanted} ms: "
            "run `holdtime rebuild`, or set it back"
        )


def _sql(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text()


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


@contextmanager
def _registered(db: duckdb.DuckDBPyConnection, delivered: pa.Table) -> Iterator[None]:
    db.register("delivered", delivered)
    try:
        yield
    finally:
        db.unregister("delivered")
