"""Open entities, however old: with them, lookups stay narrow and episodes whole.

A lookup looks a day around the events that it knows. An entity without its end may go on later than that. So the table
`open_entities` names the entities that are open, and those whose episode has a longer silence, with the quarters of an
hour in which they have events. It may name too many; then a lookup finds nothing.

A live call that ends within hours is never written there: only entities that began before `warehouse.open_before`, and
silent ones, are. That time moves on with the events, once in several hours; the facts say which entities it passes.
"""

from datetime import datetime, timedelta

import duckdb

from processors.entities.episodes import (
    MAY_GO_ON,
    MONTH,
    SILENCE,
)
from processors.events.time_ranges import TimeRange
from warehouse.instants import EPOCH
from warehouse.query import run, value

HOURS = timedelta(hours=8)
"""How far behind the newest event `open_before` is set: few calls last so long, and it seldom has to move."""

OF_LIVES = f"""
    select
        lives.entity,
        entity_since,
        until,
        list(distinct quarter_of(occurred_at)) as quarters,
        stretches > 1 as is_silent
    from touched
    join lives using (life)
    group by life, lives.entity, entity_since, until, stretches
    having {MAY_GO_ON}
"""
"""The episodes in `lives` that are open, or may be, given their events in `touched`."""


def advance(db: duckdb.DuckDBPyConnection, ranges: list[TimeRange], at: datetime) -> datetime:
    """Name all open entities that an event in `ranges` can belong to; returns the time before which all are named.

    `at` is the evaluation time: an event from the future moves `open_before` no further than that.
    """
    before: datetime = value(db, "select coalesce(open_before, 'epoch'::timestamptz) from warehouse")
    newest = max((end for _, end in ranges), default=EPOCH)
    if newest - SILENCE <= before:
        return before
    reached = newest - HOURS
    run(
        db,
        """
        insert into open_entities
        with begun as (
            select entity, entity_since
            from calls
            where entity_since >= $before and entity_since < $reached and status <> 'ended'
            union
            select entity, entity_since
            from queue_visits
            anti join (
                select entity, entity_since
                from calls
                where entity_since >= $before and entity_since < $reached and status = 'ended'
            ) as ended using (entity, entity_since)
            where entity_since >= $before and entity_since < $reached
            union
            select entity, entity_since
            from conferences
            where entity_since >= $before and entity_since < $reached and status <> 'completed'
        ),
        heard as (
            select entity, occurred_at
            from stored_events
            where occurred_at >= $before
            and event_type in (from relevant_types)
            and entity in (select entity from begun)
            union all
            select entity, occurred_at
            from participant_joins
            where occurred_at >= $before
            and entity in (select entity from begun)
        )
        select entity, min(entity_since), max(occurred_at), list(distinct quarter_of(occurred_at)), false, $at
        from begun
        join heard using (entity)
        group by entity
        """,
        {"before": before, "reached": reached, "at": at},
    )
    kept = min(reached, at)
    run(
        db,
        "delete from open_entities where until < ? and noted_at < ?",
        [kept - MONTH, at - SILENCE],
    )
    run(db, "update warehouse set open_before = ?", [kept])
    return kept


def begin(db: duckdb.DuckDBPyConnection) -> None:
    """Let a rebuild of a warehouse without `open_before` name all open entities of the events that have landed."""
    run(
        db,
        """
        update warehouse set open_before = (
            select max(occurred_at) from stored_events where occurred_at <= judged_at
        )
        where open_before is null
        """,
    )


def quarters(db: duckdb.DuckDBPyConnection) -> list[int]:
    """The quarters of an hour in which the named entities among `seeded` have events."""
    found = value(
        db,
        """
        select list(distinct quarter)
        from (select unnest(quarters) as quarter from open_entities where entity in (from seeded))
        """,
    )
    return list(found or [])


def note(db: duckdb.DuckDBPyConnection, before: datetime, at: datetime) -> None:
    """Name the episodes of `lives`, with their events in `touched`, that are open; forget those that are over."""
    run(
        db,
        """
        delete from open_entities where rowid in (
            select named.rowid
            from open_entities as named
            join lives
            on named.entity = lives.entity
            and named.entity_since between lives.entity_since and lives.until
        )
        """,
    )
    run(
        db,
        f"insert into open_entities select *, ? from ({OF_LIVES}) where entity_since < ? or is_silent",
        [at, before],
    )
