"""Facts that were derived ahead of a batch's turn, and whether they hold in the warehouse as well.

They do for every entity of which the warehouse knows nothing that matters: of all others they are derived anew.
"""

from collections.abc import Collection
from datetime import datetime

import duckdb

from processors.outbox import outbox
from warehouse.query import run, value


def settle(db: duckdb.DuckDBPyConnection, tables: Collection[str]) -> None:
    """Make `foreseen`: the entities of which `foreseen_*`, of these tables, say what holds. Needs `look_up` before.

    Not among them: who had been heard of before, whose visit time may have ended, and whose unconfirmed answer means
    something else because bridges of that connection were heard before.
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


def keep(db: duckdb.DuckDBPyConnection, table: str, *, noted: bool) -> int:
    """Store the rows of one table that were foreseen; returns how many. `noted` as in `derivation.replace`."""
    held = f"from foreseen_{table} as told semi join foreseen using (entity)"
    if noted:
        run(db, f"create or replace temp table changes as select null::bigint as row_id, told as fact {held}")
        outbox.note(db, table, [])
    return int(value(db, f"insert into {table} {held}"))


def keep_open(db: duckdb.DuckDBPyConnection, before: datetime, now: datetime) -> None:
    """Name those that were foreseen to stay open, as `open_entities.note` does."""
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
