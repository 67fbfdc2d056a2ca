"""What the warehouse already knows of the entities that a batch touches, found around the batch's times."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import duckdb

from processors import facts
from processors.spans import Span, beyond, merged, widened
from warehouse.query import run, value

SAID = (
    "event_id, event_type, occurred_at, entity, call_control_id, call_leg_id, call_session_id, connection_id, "
    "conference_id, queue, direction, from_number, to_number, reason, hangup_source, position, reported_wait_secs"
)
"""What an event says in columns."""

COLUMNS = f"{SAID}, details, origin"
"""What facts rest on of an event: what it says, and how it came."""

SEEDS = """(
    select entity from fresh where event_type in (from relevant_types)
    union all
    select entity from reopened
)"""
"""The entities to look for: of the events that are about to be stored, and those to be looked at again."""

_MACROS = files(__package__).joinpath("macros.sql").read_text()

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
QUARTER = timedelta(minutes=15)
QUIET = timedelta(hours=8)
LEEWAY = timedelta(hours=1)
"""How much further a lookup looks than it must: most lives began as little before, so it is the only one."""


def spans_of(db: duckdb.DuckDBPyConnection, relation: str, moment: str) -> list[Span]:
    """The stretches of time in which `relation` has moments, to the quarter of an hour; a quiet night parts none."""
    return spans_of_quarters(value(db, f"select list(distinct quarter_of({moment})) from {relation}") or [])


def spans_of_quarters(quarters: Iterable[int]) -> list[Span]:
    """The same, of the numbers that `quarter_of` gave."""
    starts = [EPOCH + quarter * QUARTER for quarter in quarters]
    return [(start, end - QUIET) for start, end in merged((start, start + QUARTER + QUIET) for start in starts)]


def instant(microseconds: int) -> datetime:
    """Unix microseconds as an aware datetime, without a float in between."""
    return EPOCH + timedelta(microseconds=microseconds)


def look_up(db: duckdb.DuckDBPyConnection, spans: list[Span], *, reach: timedelta) -> bool:
    """Fill `stored` with what is known of the entities of `fresh` and `reopened`; returns whether there are any.

    `fresh` are the events that are about to be stored, all within `spans`; `reopened` (entity, moment) names stored
    ones. An entity's events belong together while no two neighbours in time are more than `reach` apart: nothing in a
    call center waits longer, so what is further away is another life of the same name. Looking around the batch and
    then around whatever that found, until nothing new turns up, therefore finds whole lives and nothing by halves, with
    a time bound on every lookup.
    """
    if not value(db, f"create or replace temp table seeded as select distinct entity from {SEEDS}"):
        return False
    wanted = widened([*spans, *spans_of(db, "reopened", "moment")], reach)
    run(db, f"create or replace temp table stored as select {COLUMNS} from stored_events limit 0")
    seen: list[Span] = []
    while ahead := beyond(wanted, seen):
        found = 0
        ahead = beyond(widened(ahead, LEEWAY), seen)
        for start, end in ahead:
            found += value(
                db,
                f"""
                insert into stored
                select {COLUMNS} from stored_events
                where occurred_at >= ? and occurred_at < ?
                and event_type in (from relevant_types)
                and entity in (from seeded)
                """,
                [start, end],
            )
        seen = merged([*seen, *ahead], most=len(seen) + len(ahead))
        if found:
            wanted = merged([*wanted, *widened(spans_of(db, "stored", "occurred_at"), reach)])
    return True


def find_touched(db: duckdb.DuckDBPyConnection, fresh: str, *, reach: timedelta) -> None:
    """Fill `touched` and `lives` with whole entities: those of which there is something new in a relation like `fresh`,
    and those `reopened`. Needs `stored`, as `look_up` made it with the same reach."""
    run(
        db,
        f"""
        create or replace temp view found as
        select {COLUMNS}, true as is_seed from {fresh} where event_type in (from relevant_types)
        union all
        select {COLUMNS}, (entity, occurred_at) in (from reopened) from stored
        """,
    )
    number_lives(db, reach)
    gather_lives(db)


def number_lives(db: duckdb.DuckDBPyConnection, reach: timedelta) -> None:
    """Make `lives` from `found` (entity, occurred_at, is_seed): those with a seed.

    Their columns: life, entity, entity_since, until, and revision, which counts the events of a life.

    A life is a number that stands for an entity and the time its life began; it holds within one derivation only.
    """
    run(
        db,
        """
        create or replace temp table lives as
        select
            row_number() over () as life, entity, min(occurred_at) as entity_since, max(occurred_at) as until,
            count(*)::integer as revision
        from found group by entity having bool_or(is_seed)
        """,
    )
    if not value(db, "select count(*) from lives where epoch_us(until) - epoch_us(entity_since) > ?", [_micros(reach)]):
        return
    run(
        db,
        """
        create or replace temp table lives as
        with moments as (
            select entity, occurred_at, bool_or(is_seed) as is_seed, count(*) as events
            from found group by entity, occurred_at
        ),
        begun as (
            select
                *,
                coalesce(occurred_at - lag(occurred_at) over life > to_microseconds(?), true) as begins
            from moments
            window life as (partition by entity order by occurred_at)
        ),
        numbered as (
            select *, count(*) filter (begins) over (partition by entity order by occurred_at) as nth
            from begun
        )
        select
            row_number() over () as life, entity, min(occurred_at) as entity_since, max(occurred_at) as until,
            sum(events)::integer as revision
        from numbered group by entity, nth having bool_or(is_seed)
        """,
        [_micros(reach)],
    )


def gather_lives(db: duckdb.DuckDBPyConnection) -> None:
    """Make `touched`: the events of `found` that belong to `lives`, each with its life in place of its entity.

    Each has what there is to say of its type, too: to ask a text whether it is one of ten takes as long as to group by.
    """
    run(
        db,
        """
        create or replace temp table touched as
        select found.* exclude (entity, is_seed), roles.* exclude (event_type), life
        from found
        join roles using (event_type)
        join lives on found.entity = lives.entity and found.occurred_at between lives.entity_since and lives.until
        """,
    )


def prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Give a connection what the statements of this package share: words, and what types mean. Once a connection."""
    prepare_words(db)
    run(db, "create or replace temp table relevant_types (event_type varchar)")
    run(db, "insert into relevant_types select unnest(?::varchar[])", [sorted(facts.EVENT_TYPES)])
    run(
        db,
        """
        create or replace temp table roles as
        select
            event_type,
            is_of_call(event_type) as is_of_call,
            is_of_pair(event_type) as is_of_pair,
            is_of_conference(event_type) as is_of_conference,
            is_detailed(event_type) as is_detailed
        from relevant_types
        """,
    )


def prepare_words(db: duckdb.DuckDBPyConnection) -> None:
    """Give a connection the macros alone, which are enough to read what a batch says."""
    run(db, _MACROS)


def _micros(span: timedelta) -> int:
    return span // MICROSECOND
