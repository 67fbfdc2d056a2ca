"""Deriving facts from whole entities, and putting them in the place of what was known before."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from processors import contradictions, facts, history, origins, outbox
from processors.facts import FACTS, Fact
from processors.spans import Span
from warehouse.query import value


@dataclass(frozen=True, slots=True)
class Judgement:
    """What facts depend on besides events: the clock they are judged by, and how long a visit may last."""

    at: datetime
    longest_wait: timedelta

    def parameters_of(self, query: str) -> dict[str, object]:
        """The values that a definition asks for, by name."""
        values: dict[str, object] = {
            "judged_at": self.at,
            "longest_wait_ms": self.longest_wait // timedelta(milliseconds=1),
        }
        return {name: value for name, value in values.items() if f"${name}" in query}


@dataclass(frozen=True, slots=True)
class Derived:
    """The facts for which there is a table `<fact>_now`, the spans that hold the lives they are of, and whether there
    was an id with several contents among those lives' events."""

    facts: list[Fact]
    spans: list[Span]
    disputed: bool


def derive(db: duckdb.DuckDBPyConnection, judgement: Judgement) -> Derived:
    """Make a temporary table `<fact>_now` for every fact that `touched` can hold, from it and `lives`.

    Lives without an event of the types that a fact rests on have none, and had none.
    """
    ((types, quarters, disputed),) = db.execute(
        """
        select
            list(distinct event_type),
            list(distinct quarter_of(occurred_at)),
            count(*) > count(distinct event_id)
        from touched
        """
    ).fetchall()
    if disputed:
        contradictions.settle(db)
    origins.improve(db, contradictions.CONTENT)
    origins.of_lives(db)
    possible = [fact for fact in FACTS if fact.event_types & set(types or [])]
    for name in dict.fromkeys(need for fact in possible for need in fact.needs):
        db.execute(facts.statement(name))
    for fact in possible:
        query = fact.query
        db.execute(
            f"""
            create or replace temp table {fact.table}_now as
            select derived.* exclude (life), origins, entity, entity_since
            from ({query}) as derived join lives using (life) join life_origins using (life)
            """,
            judgement.parameters_of(query),
        )
    return Derived(possible, history.spans_of_quarters(quarters or []), disputed)


def replace(db: duckdb.DuckDBPyConnection, derived: Derived, *, noted: bool = False) -> dict[str, int]:
    """Make the stored facts of the entities in `lives` equal to the tables that `derive` made.

    The spans hold all moments of those entities' lives, so every stored fact of theirs has its `entity_since` in them.
    A fact that did not change is not written again. Returns how many rows were written, by table. With `noted`, what
    changed is noted in the outbox too.
    """
    return {fact.table: _replace(db, fact.table, derived.spans, noted) for fact in derived.facts}


def _replace(db: duckdb.DuckDBPyConnection, table: str, spans: list[Span], noted: bool) -> int:
    # A life that grew may have swallowed another that was thought to be apart: that one began within it.
    known = " union all ".join(
        [
            f"""
            select stored.rowid as row_id, stored.* from {table} as stored
            where stored.entity_since >= ? and stored.entity_since < ?
            and exists (
                from lives
                where lives.entity = stored.entity
                and stored.entity_since >= lives.entity_since
                and stored.entity_since <= lives.until
            )
            """
        ]
        * len(spans)
    )
    bounds = [moment for span in spans for moment in span]
    if not value(db, f"create or replace temp table before as {known}", bounds):
        if noted:
            outbox.note(db, table, key=_columns(db, table)[0], same=None)
        return int(value(db, f"insert into {table} from {table}_now"))
    columns = _columns(db, table)
    same = " and ".join(f'before."{name}" is not distinct from now."{name}"' for name in columns)
    if noted:
        outbox.note(db, table, key=columns[0], same=same)
    for start, end in spans:  # one after the other: only a plain bound keeps DuckDB from looking everywhere
        db.execute(
            f"""
            delete from {table}
            where entity_since >= ? and entity_since < ?
            and rowid in (select row_id from before anti join {table}_now as now on {same})
            """,
            [start, end],
        )
    return int(value(db, f"insert into {table} select * from {table}_now as now anti join before on {same}"))


def _columns(db: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [column[0] for column in db.execute(f"select * from {table}_now limit 0").description or ()]
