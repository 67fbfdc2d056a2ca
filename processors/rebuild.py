"""Rebuilding every fact from the whole history, slice by slice of time, with the definitions that landing uses."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import duckdb

from processors import definitions, derivation, history
from processors.derivation import Judgement
from processors.facts import FACTS
from processors.history import EPOCH
from processors.landing import LONGEST_WAIT, transaction
from processors.slices import BY_THE_DAY, Slicing
from warehouse import tables
from warehouse.query import value

MEMORY_LIMIT = "2GB"
"""What DuckDB needs for slices of the usual size; with less it uses the disk."""


def rebuild(
    db: duckdb.DuckDBPyConnection, *, longest_wait: timedelta = LONGEST_WAIT, slicing: Slicing = BY_THE_DAY
) -> Generator[tuple[int, int], None, None]:
    """Derive all facts anew; yields (events done, events in all) for a progress bar, at the start and after each slice.

    Each slice is committed to tables of its own, which take the place of the old facts in one transaction at the end:
    until the iterator is exhausted nobody sees anything of it. One that was not, be it that the process was killed, is
    gone on with by the next, unless something landed meanwhile or the definitions are others: then it begins anew.
    The facts are judged by the clock that they were last judged by, so a rebuild changes nothing but mistakes.
    """
    history.prepare(db)
    judged_at = history.instant(value(db, "select epoch_us(coalesce(judged_at, now())) from warehouse"))
    judgement = Judgement(judged_at, longest_wait)
    _begin(db, _basis(db, longest_wait))
    with _bridges_heard(db):
        done, total = value(db, "select events from rebuilding"), value(db, "select count(*) from stored_events")
        yield done, total
        for end, events in slicing.cut(db, "stored_events", since=_reached(db)):
            with transaction(db):
                _derive_until(db, end, judgement)
                db.execute("update rebuilding set reached = ?, events = events + ?", [end, events])
            done += events
            yield done, total
        with transaction(db):
            _put_in_place(db, longest_wait)


def _basis(db: duckdb.DuckDBPyConnection, longest_wait: timedelta) -> str:
    """All that the facts follow from, in a few words: with another basis, what was derived is of no use."""
    held = db.execute("select count(*), (select epoch_us(judged_at) from warehouse) from stored_events").fetchall()
    landed = db.execute("select log_partition, log_offset from log_positions order by all").fetchall()
    return json.dumps([definitions.digest(), longest_wait // timedelta(milliseconds=1), held, landed])


def _begin(db: duckdb.DuckDBPyConnection, basis: str) -> None:
    """Make the tables that a rebuild fills, unless there are some that were begun on the same basis."""
    if "rebuilding" in tables.names(db) and value(db, "select basis from rebuilding") == basis:
        return
    with transaction(db):
        db.execute("create or replace table rebuilding (basis varchar, reached timestamptz, events bigint)")
        db.execute("insert into rebuilding values (?, ?, 0)", [basis, EPOCH])
        db.execute(f"create or replace table rebuilt_carried as select {history.COLUMNS} from stored_events limit 0")
        for fact in FACTS:
            tables.create_like(db, fact.table, f"rebuilt_{fact.table}")


def _reached(db: duckdb.DuckDBPyConnection) -> datetime:
    return history.instant(value(db, "select epoch_us(reached) from rebuilding"))


@contextmanager
def _bridges_heard(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let the definitions see the connections on which bridges are heard in all of history, and nobody else as yet."""
    db.execute(
        """
        create or replace temp table bridged_connections as
        select distinct connection_id from stored_events
        where event_type = 'call.bridged' and connection_id is not null
        """
    )
    try:
        yield
    finally:
        with suppress(duckdb.ConnectionException):  # closed, and with it the table is gone
            db.execute("drop table temp.bridged_connections")


def _derive_until(db: duckdb.DuckDBPyConnection, end: datetime, judgement: Judgement) -> None:
    """Derive the facts of the lives that are over by `end`, from the events since the last slice and those carried."""
    # A view takes no parameters, and a plain bound is what keeps DuckDB from looking everywhere.
    db.execute("set variable slice_begins = (select reached from rebuilding)")
    db.execute("set variable slice_ends = ?", [end])
    db.execute(
        f"""
        create or replace temp view found as
        select {history.COLUMNS}, true as is_seed from stored_events
        where occurred_at >= getvariable('slice_begins') and occurred_at < getvariable('slice_ends')
        and event_type in (from relevant_types)
        union all
        select *, true from rebuilt_carried
        """
    )
    history.number_lives(db, judgement.longest_wait)
    # As near to the end as this, the next slice may hold more of the life.
    open_since = end - judgement.longest_wait
    db.execute(
        f"""
        create or replace temp table carried as
        select {history.COLUMNS} from found
        semi join (from lives where until >= ?) as going_on
        on found.entity = going_on.entity and found.occurred_at >= going_on.entity_since
        """,
        [open_since],
    )
    db.execute("delete from lives where until >= ?", [open_since])
    history.gather_lives(db)
    db.execute("create or replace table rebuilt_carried as from carried")
    for each in derivation.derive(db, judgement).facts:
        # Lookups rely on tables that are in time order.
        db.execute(f"insert into rebuilt_{each.fact.table} from ({each.query}) order by entity_since", each.parameters)


def _put_in_place(db: duckdb.DuckDBPyConnection, longest_wait: timedelta) -> None:
    """Make what was rebuilt the facts, and leave nothing else of it."""
    for fact in FACTS:
        db.execute(f"drop table {fact.table}")
        db.execute(f"alter table rebuilt_{fact.table} rename to {fact.table}")
    stored = f'"{value(db, "select current_database()")}".bridged_connections'
    db.execute(f"delete from {stored}")
    db.execute(f"insert into {stored} from temp.bridged_connections")
    db.execute("update warehouse set longest_wait_ms = ?", [longest_wait // timedelta(milliseconds=1)])
    definitions.note_only(db)
    db.execute("drop table rebuilt_carried")
    db.execute("drop table rebuilding")
