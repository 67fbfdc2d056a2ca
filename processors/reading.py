"""Reading: what the records of a batch say, from bytes to columns (`events.sql`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

import duckdb
import pyarrow as pa

from ingest.batch import Batch
from processors import history
from processors.spans import Span
from warehouse.database import HARDENING
from warehouse.query import run

MEMORY_LIMIT = "256MB"
"""What reading the largest batch takes, twice over."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the records of a batch are, in numbers, and the spans in which its events lie."""

    records: int
    rejected: int
    undated: bool
    repeats: bool
    spans: list[Span]


@dataclass(frozen=True, slots=True)
class Read:
    """What a batch says; `events` is what `fresh` is to be, with each record's `text`, where it was read ahead."""

    events: pa.Table | None
    said: Said


def read(db: duckdb.DuckDBPyConnection) -> Said:
    """Make `fresh`, what each record of `delivered` says.

    Nearly every text is JSON, and to ask first would be to parse it twice; so it is asked only once one was not.
    """
    making = f"create or replace temp table fresh as {statement()}"
    try:
        run(db, making, {"is_all_json": True})
    except duckdb.InvalidInputException:
        run(db, making, {"is_all_json": False})
    # One look at all that the steps want to know: each statement takes a millisecond.
    ((records, rejected, undated, repeats, quarters),) = run(
        db,
        """
        select
            count(*),
            count(rejection),
            count(*) filter (rejection is null and occurred_at_source = 'received_at'),
            count(event_id) filter (rejection is null) > count(distinct event_id) filter (rejection is null),
            list(distinct quarter_of(occurred_at)) filter (rejection is null)
        from fresh
        """,
    ).fetchall()
    return Said(records, rejected, undated > 0, repeats, history.spans_of_quarters(quarters or []))


def statement() -> str:
    """The query that reads `delivered`, a row a record; `$is_all_json` says that every text is JSON."""
    return files(__package__).joinpath("events.sql").read_text()


class Aside:
    """Reads in a database of its own, in memory, so that one batch can be read while another one lands."""

    def __init__(self) -> None:
        """Open the database."""
        # Nothing of it goes to disk: bodies are personal data, and what does not fit is read where it lands.
        self._db = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": "", "threads": 1})
        self._db.execute("set preserve_insertion_order = true")  # what was read is put beside the texts it was read in
        history.prepare_words(self._db)
        for setting in HARDENING:
            self._db.execute(f"set {setting}")

    def read(self, batch: Batch) -> Read:
        """Read the batch, as landing would; raises what that raises."""
        with registered(self._db, delivered=batch.table):
            said = read(self._db)
        fresh = self._db.table("fresh").to_arrow_table()
        return Read(fresh.append_column("text", batch.table["text"]), said)


@contextmanager
def registered(db: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """Let the connection's statements see the tables by their names."""
    for name, table in tables.items():
        db.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            db.unregister(name)
