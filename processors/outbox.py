"""Facts that changed and have still to be told: written in the transaction that changed them, so none is forgotten."""

from dataclasses import dataclass

import duckdb

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
    db.execute(PREPARE)


def note(db: duckdb.DuckDBPyConnection, table: str, *, key: str, same: str | None) -> None:
    """Note what `<table>_now` has that `before` had not, and what `before` had under a key that is there no more.

    `same` joins the two on all their columns; None where nothing was known before.
    """
    unknown = "" if same is None else f"anti join before on {same}"
    db.execute(
        f"""
        insert into unpublished_facts
        select nextval('unpublished_nth'), '{table}', key, revision, to_json(fact)
        from (
            select
                coalesce(now."{key}", now.entity) as key,
                now.revision,
                (select fact from (select now.* exclude (entity, entity_since)) as fact) as fact
            from {table}_now as now {unknown}
        )
        """
    )
    if same is not None:
        db.execute(
            f"""
            insert into unpublished_facts
            select nextval('unpublished_nth'), '{table}', coalesce(before."{key}", before.entity), null, null
            from before
            anti join {table}_now as now
            on coalesce(before."{key}", before.entity) = coalesce(now."{key}", now.entity)
            """
        )


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
