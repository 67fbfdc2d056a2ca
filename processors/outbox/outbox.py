"""The outbox: facts that changed and wait to be published, noted in the transaction that changed them."""

from dataclasses import dataclass
from functools import cache

import duckdb

from processors.events.time_ranges import TimeRange
from warehouse.connection import in_memory
from warehouse.database import create_tables
from warehouse.query import run, value

MAX_CHANGES = 5_000
"""Changes published at a time, so that landing never waits long for them."""

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
    """A fact as it is now, in JSON; `body` is None where the fact is gone. `key` is the table's first column."""

    fact: str
    key: str
    revision: int | None
    body: str | None


@dataclass(frozen=True, slots=True)
class Pending:
    """The changes to be published next, the latest of each fact, and how far they reach."""

    changes: list[Change]
    up_to: int


class Outbox:
    """The changes of a warehouse that wait to be published. For the thread that lands."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        """Make the table in which changes wait, if the warehouse has none."""
        self._db = db
        _keys()  # later, a batch would have to open a database for it
        db.execute(PREPARE)

    def note(self, table: str, ranges: list[TimeRange]) -> None:
        """Note the rows that `changes` is about to write into a table of facts, and the keys of those that it removes.

        Rows to be removed began within `ranges`.
        """
        db = self._db
        key = _keys()[table]
        run(
            db,
            f"""
            insert into unpublished_facts
            select
                nextval('unpublished_nth'), '{table}', coalesce(fact."{key}", fact.entity), fact.revision, to_json(fact)
            from changes
            where row_id is null
            """,
        )
        for start, end in ranges:
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

    def pending(self, most: int = MAX_CHANGES) -> Pending:
        """Return the oldest changes; a fact that changed twice meanwhile is published once, as it is now."""
        rows = self._db.execute(
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

    def mark_published(self, up_to: int) -> None:
        """Forget the changes up to `Pending.up_to`, which are published."""
        self._db.execute("delete from unpublished_facts where nth <= ?", [up_to])

    def backlog(self) -> int:
        """How many changes wait."""
        return int(value(self._db, "select count(*) from unpublished_facts"))


@cache
def _keys() -> dict[str, str]:
    """The first column of each table, which says which fact it is; the schema's, so one look a process is enough."""
    with in_memory() as db:
        create_tables(db)
        rows = db.execute("select table_name, column_name from duckdb_columns() where column_index = 1").fetchall()
    return dict(rows)
