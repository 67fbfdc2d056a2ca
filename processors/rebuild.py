"""Rebuilding every fact from the whole history, with the definitions that landing uses."""

from collections.abc import Iterator
from datetime import timedelta

import duckdb

from processors import definitions, derivation, history
from processors.derivation import Judgement
from processors.facts import FACTS
from processors.landing import LONGEST_WAIT, transaction
from warehouse.query import value

EVENTS_A_SHARE = 2_000_000
"""How many events are derived from at a time: about what half a gigabyte of memory takes."""


def rebuild(db: duckdb.DuckDBPyConnection, *, longest_wait: timedelta = LONGEST_WAIT) -> Iterator[tuple[int, int]]:
    """Derive all facts anew, in one transaction; yields (shares done, shares in all) for a progress bar.

    The facts are judged by the clock that they were last judged by, so a rebuild changes nothing but mistakes.
    Only when the iterator is exhausted has anything changed.
    """
    history.prepare(db)
    shares = 1 + value(db, "select count(*) from stored_events") // EVENTS_A_SHARE
    with transaction(db):
        judged_at = history.instant(value(db, "select epoch_us(coalesce(judged_at, now())) from warehouse"))
        judgement = Judgement(judged_at, longest_wait)
        db.execute("update warehouse set longest_wait_ms = ?", [longest_wait // timedelta(milliseconds=1)])
        definitions.note_only(db)
        for table in ("bridged_connections", *(fact.table for fact in FACTS)):
            db.execute(f"delete from {table}")
        for fact in FACTS:
            db.execute(f"create or replace temp table {fact.table}_all as from {fact.table} limit 0")
        db.execute(
            """
            insert into bridged_connections
            select distinct connection_id from stored_events
            where event_type = 'call.bridged' and connection_id is not null
            """
        )
        for share in range(shares):
            db.execute(
                f"""
                create or replace temp table share as
                select {history.COLUMNS} from stored_events
                where event_type in (from relevant_types) and hash(entity) % ? = ?
                """,
                [shares, share],
            )
            db.execute("create or replace temp view found as select *, true as is_seed from share")
            history.number_lives(db, longest_wait)
            history.gather_lives(db)
            for fact in derivation.derive(db, judgement):
                db.execute(f"insert into {fact.table}_all from {fact.table}_now")
            yield share + 1, shares
        for fact in FACTS:
            # A share is spread over all of history; lookups rely on tables that are in time order.
            db.execute(f"insert into {fact.table} from {fact.table}_all order by entity_since")
            db.execute(f"drop table {fact.table}_all")
