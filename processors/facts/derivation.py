"""Derivation: which facts follow from whole episodes. It writes nothing but temporary relations."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from processors import facts
from processors.entities import conflicts, identity, origins, twins
from processors.events import time_ranges
from processors.events.time_ranges import TimeRange
from processors.facts import FACTS, Fact
from warehouse.query import run


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What facts depend on beside events: the evaluation time, and how long a visit may last."""

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
    """The rows of a fact: the query that gives all columns of its table in order, and the query's parameters."""

    fact: Fact
    query: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class Derived:
    """The facts that the episodes in `lives` can have, and the time ranges in which their events lie.

    `disputed`: some id among their events has several contents; `twinned`: some event came under several ids.
    """

    facts: list[Derivation]
    ranges: list[TimeRange]
    disputed: bool
    twinned: bool


def derive(db: duckdb.DuckDBPyConnection, evaluation: Evaluation) -> Derived:
    """Return how every fact that `touched` can hold follows from it and `lives`, with the relations that it needs made.

    An episode without an event of the types on which a fact rests has no such fact, and never had one.
    """
    found = _inspect(db)
    twinned = resolve(db, found)
    queries = [(fact, fact.query(observed=found.observed)) for fact in found.facts]
    only_webhooks = found.only_webhooks
    return Derived(
        [Derivation(fact, _of_lives(query, only_webhooks), evaluation.parameters_of(query)) for fact, query in queries],
        time_ranges.of_quarters(found.quarters),
        found.disputed,
        twinned,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """Which kinds of events `touched` holds, and so which steps derivation takes.

    `disputed`: an id has several contents; `half_named`: an event has one of a leg's two ids; `twinned`: two events of
    an episode are alike in type and time.
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
        conflicts.resolve(db)
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
