"""What the warehouse already knows of the entities that a batch touches, found around the batch's times."""

from datetime import datetime, timedelta

import duckdb

from processors.entities import episodes, identity, open_entities
from processors.entities.episodes import MONTH, SILENCE
from processors.events import time_ranges
from processors.events.columns import COLUMNS, relevant
from processors.events.time_ranges import TimeRange, beyond, merged, widened
from warehouse.query import run, value

SEEDS = """(
    select entity from fresh where event_type in (from relevant_types)
    union all
    select call_control_id from fresh
    where event_type = 'conference.participant.joined' and call_control_id is not null
    union all
    select entity from reopened
)"""
"""The entities to look for: of the events that are about to be stored, and those to be looked at again."""

LEEWAY = timedelta(hours=1)
"""How much further a lookup looks than it must: most episodes began as little before, so it is the only one."""


def look_up(db: duckdb.DuckDBPyConnection, ranges: list[TimeRange], at: datetime) -> datetime | None:
    """Fill `stored` with the events that the warehouse holds of the entities of `fresh` and `reopened`.

    `fresh` are the events that are about to be stored, all within `ranges`; `reopened` (entity, moment) names stored
    ones. A lookup looks around the batch and where `open_entities` names more, then around all that it found, until it
    finds nothing new: so it finds whole episodes. Every lookup has a time bound. `at` is the evaluation time. Returns
    the time before which all open entities are named; None where there is no entity to look for.
    """
    if not value(db, f"create or replace temp table seeded as select distinct entity from {SEEDS}"):
        return None
    opened = time_ranges.of_relation(db, "reopened", "moment")
    before = open_entities.advance(db, [*ranges, *opened], at)
    remembered = time_ranges.of_quarters(open_entities.quarters(db))
    near = widened([*ranges, *opened, *remembered], SILENCE)
    run(db, f"create or replace temp table stored as select {COLUMNS}, false as is_evidence from stored_events limit 0")
    seen: list[TimeRange] = []
    while ahead := beyond(near, seen) or beyond(_later(db, near), seen):
        found = 0
        ahead = beyond(widened(ahead, LEEWAY), seen)
        for start, end in ahead:
            found += _find(db, start, end)
        seen = merged([*seen, *ahead], most=len(seen) + len(ahead))
        if found:
            near = merged([*near, *widened(time_ranges.of_relation(db, "stored", "occurred_at"), SILENCE)])
    return before


def _find(db: duckdb.DuckDBPyConnection, start: datetime, end: datetime) -> int:
    """Add to `stored` the events between two times of the entities in `seeded`; returns how many."""
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


def _later(db: duckdb.DuckDBPyConnection, near: list[TimeRange]) -> list[TimeRange]:
    """The month after each of these ranges, as far as anything was stored then: an entity may have gone on then.

    That is so where an event came so late that those after it were taken for an episode of their own.
    """
    months = merged(((start, end + MONTH) for start, end in near), most=len(near))
    return [
        (start, end)
        for start, end in beyond(months, near)
        if run(
            db, "select 1 from stored_events where occurred_at >= ? and occurred_at < ? limit 1", [start, end]
        ).fetchone()
    ]


def find_touched(db: duckdb.DuckDBPyConnection, fresh: str, *, alone: bool, besides: str = "") -> bool:
    """Fill `touched` and `lives` with whole episodes: of entities in a relation like `fresh`, and of those `reopened`.

    Entities in the relation `besides` are left out. `alone` says that some events carry `call_leg_id` alone. Needs
    `stored`, as `look_up` made it. Returns whether an episode lasts for more than a day.
    """
    told = f"{relevant(fresh)} union all {identity.joins_alone(fresh)}" if alone else relevant(fresh)
    left_out = f"anti join {besides} using (entity)" if besides else ""
    run(
        db,
        f"""
        create or replace temp view found as
        select told.*, true as is_seed from ({told}) as told {left_out}
        union all
        select *, entity in (select entity from reopened) from stored
        """,
    )
    lasting = episodes.number(db)
    episodes.gather(db)
    return lasting
