"""What the warehouse already knows of the entities that a batch touches, found around the batch's times."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import duckdb

from processors import facts
from processors.entities import episodes, open_entities
from processors.entities.episodes import MONTH, SILENCE
from processors.entities.time_ranges import (
    Span,
    beyond,
    merged,
    widened,
)
from warehouse.query import run, value

SAID = (
    "event_id, event_type, occurred_at, entity, call_control_id, call_leg_id, call_session_id, connection_id, "
    "conference_id, queue, direction, from_number, to_number, reason, hangup_source, position, reported_wait_secs"
)
"""What an event says in columns."""

COLUMNS = f"{SAID}, details, origin"
"""What facts rest on of an event: what it says, and how it came."""

STORED = f"{COLUMNS}, log_partition, log_offset"
"""The columns of `participant_joins`."""

SEEDS = """(
    select entity from fresh where event_type in (from relevant_types)
    union all
    select call_control_id from fresh
    where event_type = 'conference.participant.joined' and call_control_id is not null
    union all
    select entity from reopened
)"""
"""The entities to look for: of the events that are about to be stored, and those to be looked at again."""

_MACROS = files("processors.events").joinpath("macros.sql").read_text()

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


def look_up(db: duckdb.DuckDBPyConnection, spans: list[Span], at: datetime) -> datetime | None:
    """Fill `stored` with what is known of the entities of `fresh` and `reopened`; None where there are none.

    `fresh` are the events that are about to be stored, all within `spans`; `reopened` (entity, moment) names stored
    ones. Looking around the batch, where `open_entities` says that more was heard, and then around whatever that found,
    until nothing new turns up, finds whole lives (see `lives`) and nothing by halves; every lookup has a time bound.
    `at` is the evaluation time. Returns the time before which all entities that are open are named.
    """
    if not value(db, f"create or replace temp table seeded as select distinct entity from {SEEDS}"):
        return None
    opened = spans_of(db, "reopened", "moment")
    before = open_entities.advance(db, [*spans, *opened], at)
    remembered = spans_of_quarters(open_entities.quarters(db))
    near = widened([*spans, *opened, *remembered], SILENCE)
    run(db, f"create or replace temp table stored as select {COLUMNS}, false as is_evidence from stored_events limit 0")
    seen: list[Span] = []
    while ahead := beyond(near, seen) or beyond(_later(db, near), seen):
        found = 0
        ahead = beyond(widened(ahead, LEEWAY), seen)
        for start, end in ahead:
            found += _find(db, start, end)
        seen = merged([*seen, *ahead], most=len(seen) + len(ahead))
        if found:
            near = merged([*near, *widened(spans_of(db, "stored", "occurred_at"), SILENCE)])
    return before


def _find(db: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> int:
    """Add to `stored` what is known between two times of the entities in `seeded`; returns how much that is."""
    found: int = value(
        db,
        f"""
        insert into stored
        select {COLUMNS}, false from stored_events
        where occurred_at >= $start and occurred_at < $end
        and event_type in (from relevant_types)
        and entity in (from seeded)
        union all
        select {COLUMNS}, true from participant_joins
        where occurred_at >= $start and occurred_at < $end
        and entity in (from seeded)
        """,
        {"start": start, "end": end},
    )
    return found


def _later(db: duckdb.DuckDBPyConnection, near: list[Span]) -> list[Span]:
    """The month after each of these spans, as far as anything was stored then: an entity may have gone on then.

    That is so where something came so late that what followed it was thought to be a life of its own.
    """
    months = merged(((start, end + MONTH) for start, end in near), most=len(near))
    return [
        (start, end)
        for start, end in beyond(months, near)
        if run(
            db, "select 1 from stored_events where occurred_at >= ? and occurred_at < ? limit 1", [start, end]
        ).fetchone()
    ]


def relevant(relation: str) -> str:
    """What facts rest on in a relation of events, as a query of `COLUMNS` and is_evidence.

    That a leg joined a conference is told of the conference; of the leg it is evidence that no queue has it any more.
    """
    return f"""
        select {COLUMNS}, false as is_evidence from {relation} where event_type in (from relevant_types)
        union all
        {joins(relation)}
    """


def joins(relation: str, columns: str = f"{COLUMNS}, true as is_evidence") -> str:
    """The joins in a relation of events, each as an event of the leg that joined; the columns that are named.

    Those that do not carry the leg's `call_control_id` are left out: no join of Telnyx's is like that.
    """
    named = ", ".join("call_control_id as entity" if name == "entity" else name for name in columns.split(", "))
    return f"""
        select {named} from {relation}
        where event_type = 'conference.participant.joined'
        and call_control_id is not null and call_control_id <> entity
    """


def find_touched(db: duckdb.DuckDBPyConnection, fresh: str, *, besides: str = "") -> bool:
    """Fill `touched` and `lives` with whole entities: those of which there is something new in a relation like `fresh`,
    but for those in the relation `besides`, and those `reopened`. Needs `stored`, as `look_up` made it. Returns whether
    any of them was heard of over more than a day."""
    left_out = f"anti join {besides} using (entity)" if besides else ""
    run(
        db,
        f"""
        create or replace temp view found as
        select told.*, true as is_seed from ({relevant(fresh)}) as told {left_out}
        union all
        select *, entity in (select entity from reopened) from stored
        """,
    )
    lasting = episodes.number(db)
    episodes.gather(db)
    return lasting


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
