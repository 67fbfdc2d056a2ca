"""A batch by itself: what it says, and the facts that follow from it, found beside the warehouse and ahead of its turn.

Nearly all that a batch of a backlog tells is of calls that begin and end in it. Their facts need nothing that the
warehouse holds, so they can be derived while the batch before it lands, on the other core; which facts do need it,
landing sees.
"""

from datetime import timedelta

import pyarrow as pa

from eventlog.batch import Batch
from processors.entities import (
    conflicts,
    episodes,
    history,
    open_entities,
)
from processors.events import reading
from processors.events.reading import (
    Foreseen,
    Read,
    Said,
    registered,
)
from processors.facts import derivation
from processors.facts.derivation import Judgement
from warehouse.connection import in_memory
from warehouse.database import HARDENING, UNHELPFUL, create_tables
from warehouse.query import run, value

MEMORY_LIMIT = "1GB"
"""What the largest batch takes, twice over: nearer to its limit, DuckDB gives memory back and asks for it again."""


class Aside:
    """An empty warehouse in memory, in which each batch is all there is. For one thread at a time."""

    def __init__(self) -> None:
        """Open the database. Raises OSError where no descriptor is left for that."""
        # Nothing of it goes to disk: bodies are personal data, and what does not fit is read where it lands.
        self._db = in_memory(memory_limit=MEMORY_LIMIT, temp_directory="", threads=1)
        self._db.execute("set preserve_insertion_order = true")  # what was read is put beside the texts it was read in
        self._db.execute(f"set disabled_optimizers = '{UNHELPFUL}'")
        create_tables(self._db)
        history.prepare(self._db)
        for setting in HARDENING:
            self._db.execute(f"set {setting}")

    def read(self, batch: Batch) -> Read:
        """Read the batch, as landing would, and derive what follows from it alone; raises what reading raises."""
        with registered(self._db, delivered=batch.table):
            events = reading.as_json(lambda known: self._rows(reading.STATEMENT, known))
        with registered(self._db, said_ahead=events):
            said = reading.said(self._db, "said_ahead")
            foreseen = self._foresee(said)
        return Read(said, events.append_column("text", batch.table["text"]), foreseen)

    def _foresee(self, said: Said) -> Foreseen | None:
        """What follows from `said_ahead` alone; None where not even that is plain.

        That is where an event carries no time or half a leg's name, an id has several contents, one event has two ids,
        or not all is Telnyx's own word.
        """
        db, fresh = self._db, "said_ahead"
        if said.undated or said.alone or value(db, "select count(*) from said_ahead where origin <> 'webhook'"):
            return None
        if said.repeats:
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
            select *, true as is_seed from ({history.relevant(f"(from {fresh} where rejection is null)")})
            """,
        )
        episodes.number(db)
        episodes.gather(db)
        # By this clock nobody has waited for too long yet: for whom that matters, it is landing's to say.
        derived = derivation.derive(db, Judgement(history.EPOCH, timedelta(0)))
        if derived.twinned or (derived.disputed and value(db, "select count(*) from disputed where not counts")):
            return None
        rows = {each.fact.table: self._rows(each.query, each.parameters) for each in derived.facts}
        return Foreseen(
            {table: found for table, found in rows.items() if len(found)}, self._rows(open_entities.OF_LIVES, {})
        )

    def _rows(self, query: str, parameters: dict[str, object]) -> pa.Table:
        return self._db.sql(query, params=parameters).to_arrow_table()
