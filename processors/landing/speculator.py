"""The speculator: it reads a batch ahead of its turn and derives the facts that follow from the batch alone.

Nearly all calls of a batch of a backlog begin and end in it. Their facts need nothing of the warehouse, so they are
derived while the batch before lands, on the other core. Landing decides which of them hold (`speculation`).
"""

from datetime import timedelta

import duckdb
import pyarrow as pa
import structlog

from eventlog.batch import Batch
from processors.entities import conflicts, episodes, open_entities
from processors.events import columns, reading
from processors.events.reading import Summary, registered
from processors.facts import EVENT_TYPES, derivation
from processors.facts.derivation import Evaluation
from processors.landing.prepared import Prepared, Read, Speculation
from warehouse.connection import in_memory
from warehouse.database import DISABLED_OPTIMIZERS, HARDENING, create_tables
from warehouse.instants import EPOCH
from warehouse.query import run, value

MEMORY_LIMIT = "1GB"
"""Twice as much as the largest batch takes: near its limit, DuckDB gives memory back and asks for it again."""

log = structlog.get_logger("landing")


class Speculator:
    """An empty warehouse in memory, in which each batch is all there is. For one thread at a time."""

    def __init__(self) -> None:
        """Open the database. Raises OSError where no descriptor is left for that."""
        # Nothing of it goes to disk: bodies are personal data, and what does not fit is read where it lands.
        self._db = in_memory(memory_limit=MEMORY_LIMIT, temp_directory="", threads=1)
        self._db.execute("set preserve_insertion_order = true")  # what was read is put beside the texts it was read in
        self._db.execute(f"set disabled_optimizers = '{DISABLED_OPTIMIZERS}'")
        create_tables(self._db)
        columns.prepare(self._db, EVENT_TYPES)
        for setting in HARDENING:
            self._db.execute(f"set {setting}")

    def read(self, batch: Batch) -> Read:
        """Read the batch as landing would, and derive the facts of the batch alone. Raises the errors of reading."""
        with registered(self._db, delivered=batch.table):
            events = reading.as_json(lambda known: self._rows(reading.STATEMENT, known))
        with registered(self._db, said_ahead=events):
            summary = reading.summary(self._db, "said_ahead")
            speculation = self._speculate(summary)
        return Read(summary, events.append_column("text", batch.table["text"]), speculation)

    def _speculate(self, summary: Summary) -> Speculation | None:
        """The facts that follow from `said_ahead` alone.

        None where the batch does not decide even that: an event has no time or only one of a leg's ids, an id has
        several contents, one event has two ids, or an event came otherwise than as a webhook.
        """
        db, fresh = self._db, "said_ahead"
        if summary.undated or summary.alone or value(db, "select count(*) from said_ahead where origin <> 'webhook'"):
            return None
        if summary.repeats:
            run(db, "create or replace temp table fresh as from said_ahead")
            conflicts.drop_repeated(db)
            fresh = "fresh"
        run(
            db,
            f"""
            create or replace table bridged_connections as
            select distinct connection_id from {fresh}
            where rejection is null and event_type = 'call.bridged' and connection_id is not null
            """,
        )
        run(
            db,
            f"""
            create or replace temp view found as
            select *, true as is_seed from ({columns.relevant(f"(from {fresh} where rejection is null)")})
            """,
        )
        episodes.number(db)
        episodes.gather(db)
        # By this clock nobody has waited for too long yet; landing derives anew the visits that the clock may change.
        derived = derivation.derive(db, Evaluation(EPOCH, timedelta(0)))
        if derived.twinned or (derived.disputed and value(db, "select count(*) from disputed where not counts")):
            return None
        rows = {each.fact.table: self._rows(each.query, each.parameters) for each in derived.facts}
        return Speculation(
            {table: found for table, found in rows.items() if len(found)}, self._rows(open_entities.OF_LIVES, {})
        )

    def _rows(self, query: str, parameters: dict[str, object]) -> pa.Table:
        return self._db.sql(query, params=parameters).to_arrow_table()


class Preparer:
    """Prepares batches with a speculator that is opened for the first. In another thread than the one that lands."""

    def __init__(self) -> None:
        self._speculator: Speculator | None = None

    def __call__(self, batch: Batch) -> Prepared:
        """Read the batch ahead of its turn. Where that fails, landing reads the batch and meets the same error."""
        try:
            if self._speculator is None:
                self._speculator = Speculator()
            return Prepared(batch, self._speculator.read(batch))
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            log.warning("not_read_ahead", records=len(batch), reason=type(error).__name__)  # its text may be of a body
            return Prepared(batch)
