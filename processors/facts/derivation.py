"""Deriving facts from whole entities, and putting them in the place of what was known before."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from processors import facts
from processors.entities import (
    conflicts,
    history,
    identity,
    origins,
    twins,
)
from processors.entities.time_ranges import Span
from processors.facts import FACTS, Fact
from processors.outbox import outbox
from warehouse.query import run, value


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
class Derivation:
    """A fact's rows, as the query that gives all columns of its table in order, with the parameters of that query."""

    fact: Fact
    query: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class Derived:
    """The facts that the lives in `lives` can have, the spans that hold those lives, and whether there was an id with
    several contents among their events, or one content with several ids."""

    facts: list[Derivation]
    spans: list[Span]
    disputed: bool
    twinned: bool


def derive(db: duckdb.DuckDBPyConnection, judgement: Judgement) -> Derived:
    """Say how every fact that `touched` can hold follows from it and `lives`, and make the tables that it needs.

    Lives without an event of the types that a fact rests on have none, and had none.
    """
    found = _inspect(db)
    twinned = resolve(db, found)
    queries = [(fact, fact.query(observed=found.observed)) for fact in found.facts]
    only_webhooks = found.only_webhooks
    return Derived(
        [Derivation(fact, _of_lives(query, only_webhooks), judgement.parameters_of(query)) for fact, query in queries],
        history.spans_of_quarters(found.quarters),
        found.disputed,
        twinned,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """Which kinds of events `touched` holds: what decides which steps there are to take.

    `disputed`: an id has several contents; `half_named`: an event has one of a leg's two ids; `twinned`: two events of
    a life are alike in type and time.
    """

    types: frozenset[str]
    only_webhooks: bool
    quarters: list[int]
    disputed: bool
    half_named: bool
    twinned: bool

    @property
    def facts(self) -> list[Fact]:
        """The facts that can follow."""
        return [fact for fact in FACTS if fact.event_types & self.types]

    @property
    def observed(self) -> bool:
        """Whether there are events of the reconciler's own types."""
        return any(map(facts.is_observed, self.types))


def _inspect(db: duckdb.DuckDBPyConnection) -> Found:
    ((types, ways, quarters, disputed, half_named, twinned),) = run(
        db,
        """
        select
            list(distinct event_type),
            list(distinct origin),
            list(distinct quarter_of(occurred_at)),
            count(*) > count(distinct hash(event_id)), -- numbers are counted sooner; a false alarm changes nothing
            coalesce(bool_or((call_control_id is null) <> (call_leg_id is null)), false),
            count(*) > count(distinct hash(life, event_type, occurred_at))
        from touched
        """,
    ).fetchall()
    return Found(frozenset(types or []), ways == ["webhook"], quarters or [], disputed, half_named, twinned)


def resolve(db: duckdb.DuckDBPyConnection, found: Found) -> bool:
    """Leave in `touched` each event once, as facts take it, and make the tables that the facts need.

    Returns whether one event came under two ids.
    """
    if found.disputed:
        conflicts.settle(db)
    if not found.only_webhooks:
        origins.improve(db, conflicts.CONTENT)
    if found.half_named:
        identity.fill(db)
    twinned = (found.twinned or found.half_named) and twins.unite(db)
    if not found.only_webhooks:
        origins.of_lives(db)
    for name in dict.fromkeys(need for fact in found.facts for need in fact.needs):
        run(db, facts.statement(name, observed=found.observed))
    return twinned


def _of_lives(query: str, only_webhooks: bool) -> str:
    if only_webhooks:  # nearly always: spares a join for every fact
        return f"""
            select derived.* exclude (life), revision, 'webhook' as origins, entity, entity_since
            from ({query}) as derived join lives using (life)
        """
    return f"""
        select derived.* exclude (life), revision, origins, entity, entity_since
        from ({query}) as derived join lives using (life) join life_origins using (life)
    """


def replace(db: duckdb.DuckDBPyConnection, derived: Derived, *, noted: bool = False) -> dict[str, int]:
    """Make the stored facts of the entities in `lives` equal to what was derived.

    The spans hold all moments of those entities' lives, so every stored fact of theirs has its `entity_since` in them.
    A fact that did not change is not written again. Returns how many rows were written, by table. With `noted`, what
    changed is noted in the outbox too.
    """
    return {derivation.fact.table: _replace(db, derivation, derived.spans, noted) for derivation in derived.facts}


def _replace(db: duckdb.DuckDBPyConnection, derivation: Derivation, spans: list[Span], noted: bool) -> int:
    table = derivation.fact.table
    # Each span for itself: only a plain bound keeps DuckDB from looking everywhere. A life that grew may have swallowed
    # another that was thought to be apart: that one began within it.
    known = " union all ".join(
        f"""
        select stored.rowid as row_id, stored as fact
        from {table} as stored
        semi join lives
        on stored.entity = lives.entity
        and stored.entity_since between lives.entity_since and lives.until
        where stored.entity_since >= $start_{nth} and stored.entity_since < $end_{nth}
        """
        for nth in range(len(spans))
    )
    bounds = {
        f"{side}_{nth}": moment
        for nth, span in enumerate(spans)
        for side, moment in zip(("start", "end"), span, strict=True)
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
    if noted:
        outbox.note(db, table, spans)
    written = int(value(db, f"insert into {table} select fact.* from changes where row_id is null"))
    for start, end in spans if changes > written else ():
        run(
            db,
            f"""
            delete from {table}
            where entity_since >= ? and entity_since < ? and rowid in (select row_id from changes)
            """,
            [start, end],
        )
    return written
