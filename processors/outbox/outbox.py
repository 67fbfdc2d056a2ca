"""Facts that changed and have still to be told: written in the transaction that changed them, so none is forgotten."""

from dataclasses import dataclass
from functools import cache

import duckdb

from processors.entities.time_ranges import Span
from warehouse.connection import in_memory
from warehouse.database import create_tables
from warehouse.query import run

MOST = 5_000
"""Facts told at a time, so that landing never waits long for it."""

PREPARE = """
create sequence if not exists unpublished_nth;
create table if not exists unpublished_facts (
    nth bigint not null,
    fact varchar not null,
    key varchar not null,
    revision integer,
    body varchar
);
comment on table unpublished_facts is
'Facts that changed and have still to go to the topics holdtime.facts.*; body is null for a fact that is no more.';
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A fact as it is now, in JSON, or that there is no such fact any more. `key` is the table's first column."""

    fact: str
    key: str
    revision: int | None
    body: str | None


@dataclass(frozen=True, slots=True)
class Pending:
    """The changes to be told next, the latest of each fact, and how far they reach."""

    changes: list[Change]
    up_to: int


def prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Make the table in which changes wait, if it is not there."""
    _keys()  # later, a batch would have to open a database for it
    db.execute(PREPARE)


def note(db: duckdb.DuckDBPyConnection, table: str, spans: list[Span]) -> None:
    """Note what `changes` is about to write into the table, and the keys of what it is about to take out for good."""
    key = _keys()[table]
    run(
        db,
        f"""
        insert into unpublished_facts
        select nextval('unpublished_nth'), '{table}', coalesce(fact."{key}", fact.entity), fact.revision, to_json(fact)
        from changes
        where row_id is null
        """,
    )
    for start, end in spans:
        run(
            db,
            f"""
            insert into unpublished_facts
            select nextval('unpublished_nth'), '{table}', key, null, null
            from (
                select coalesce("{key}", entity) as key
                from {table}
                where entity_since >= ? and entity_since < ? and rowid in (select row_id from changes)
            )
            where key not in (select coalesce(fact."{key}", fact.entity) from changes where row_id is null)
            """,
            [start, end],
        )


@cache
def _keys() -> dict[str, str]:
    """The first column of each table, which says which fact it is; the schema's, so one look a process is enough."""
    with in_memory() as db:
        create_tables(db)
        rows = db.execute("select table_name, column_name from duckdb_columns() where column_index = 1").fetchall()
    return dict(rows)


def pending(db: duckdb.DuckDBPyConnection, most: int = MOST) -> Pending:
    """Return what has to be told next; a fact that changed twice meanwhile is told once, as it is now."""
    rows = db.execute(
        """
        with oldest as (
            from unpublished_facts order by nth limit $most
        )
        select fact, key, arg_max(revision, nth), arg_max((body,), nth)[1], max(nth)
        from oldest
        group by fact, key
        order by max(nth)
        """,
        {"most": most},
    ).fetchall()
    return Pending([Change(*row[:4]) for row in rows], max((row[4] for row in rows), default=0))


def told(db: duckdb.DuckDBPyConnection, up_to: int) -> None:
    """Forget what has been told."""
    db.execute("delete from unpublished_facts where nth <= ?", [up_to])
