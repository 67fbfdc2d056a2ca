"""Replacing: the facts of the episodes in hand become those that were derived, and changes go to the outbox."""

import duckdb

from processors.events.time_ranges import TimeRange
from processors.facts.derivation import Derivation, Derived
from processors.outbox.outbox import Outbox
from warehouse.query import run, value


def replace(db: duckdb.DuckDBPyConnection, derived: Derived, outbox: Outbox | None) -> dict[str, int]:
    """Make the stored facts of the episodes in `lives` equal to the derived ones; returns rows written, by table.

    The ranges of `derived` hold all events of those episodes, so every stored fact of theirs has its `entity_since` in
    them. A fact that did not change is not written again. Changes are noted in the outbox, where there is one.
    """
    return {derivation.fact.table: _replace(db, derivation, derived.ranges, outbox) for derivation in derived.facts}


def _replace(
    db: duckdb.DuckDBPyConnection, derivation: Derivation, ranges: list[TimeRange], outbox: Outbox | None
) -> int:
    table = derivation.fact.table
    # A plain bound for each range keeps DuckDB from looking everywhere. An episode that grew may have swallowed
    # another, which began within it.
    known = " union all ".join(
        f"""
        select stored.rowid as row_id, stored as fact
        from {table} as stored
        semi join lives
        on stored.entity = lives.entity
        and stored.entity_since between lives.entity_since and lives.until
        where stored.entity_since >= $start_{nth} and stored.entity_since < $end_{nth}
        """
        for nth in range(len(ranges))
    )
    bounds = {
        f"{side}_{nth}": moment
        for nth, each in enumerate(ranges)
        for side, moment in zip(("start", "end"), each, strict=True)
    }
    changes = value(
        db,
        f"""
        create or replace temp table changes as
        select row_id, now.fact
        from (select now as fact from ({derivation.query}) as now) as now
        full join ({known}) as before on now.fact is not distinct from before.fact
        where row_id is null or now.fact is null
        """,
        derivation.parameters | bounds,
    )
    if not changes:
        return 0
    if outbox is not None:
        outbox.note(table, ranges)
    written = int(value(db, f"insert into {table} select fact.* from changes where row_id is null"))
    for start, end in ranges if changes > written else ():
        run(
            db,
            f"""
            delete from {table}
            where entity_since >= ? and entity_since < ? and rowid in (select row_id from changes)
            """,
            [start, end],
        )
    return written
