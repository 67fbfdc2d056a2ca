"""Speculation: facts that were derived ahead of a batch's turn, and the entities for which they hold in the warehouse.

They hold for every entity of which the warehouse has no event. The facts of all others are derived anew.
"""

from collections.abc import Collection
from datetime import datetime

import duckdb

from processors.outbox.outbox import Outbox
from warehouse.query import run, value


def accept(db: duckdb.DuckDBPyConnection, tables: Collection[str]) -> None:
    """Make `foreseen`: the entities whose facts in `foreseen_*`, of these tables, hold. Needs `seeded` and `stored`.

    Not among them: entities with stored events, those with a visit that time may have ended, and those with an
    unconfirmed answer on a connection that had bridges before.
    """
    visits = """
        union all
        select entity from foreseen_queue_visits
        where outcome = 'waiting'
        or (
            reason = 'bridging-in-process'
            and connection_id in (from bridged_connections)
            and connection_id not in (
                select connection_id from fresh where event_type = 'call.bridged' and connection_id is not null
            )
        )
    """
    run(
        db,
        f"""
        create or replace temp table foreseen as
        from seeded
        anti join (
            select entity from stored
            {visits if "queue_visits" in tables else ""}
        ) as doubted using (entity)
        """,
    )


def store(db: duckdb.DuckDBPyConnection, table: str, outbox: Outbox | None) -> int:
    """Store the rows of one table that hold, and note them in the outbox, where there is one; returns how many."""
    held = f"from foreseen_{table} as told semi join foreseen using (entity)"
    if outbox is not None:
        run(db, f"create or replace temp table changes as select null::bigint as row_id, told as fact {held}")
        outbox.note(table, [])
    return int(value(db, f"insert into {table} {held}"))


def name_open(db: duckdb.DuckDBPyConnection, before: datetime, now: datetime) -> None:
    """Name in `open_entities` those of `foreseen` that stay open."""
    run(
        db,
        """
        insert into open_entities
        select foretold.*, ?
        from foreseen_open_entities as foretold
        semi join foreseen using (entity)
        where entity_since < ? or is_silent
        """,
        [now, before],
    )
