"""The entities that were left open, however long ago: what lets lookups stay narrow and lives be whole.

A lookup looks a day around what it knows. An entity without its end may go on later than that, so `open_entities` names
those that are open, and those whose life has longer silences in it, with the quarters of an hour in which something was
heard of them. It may name more than it must; then a lookup looks where nothing is.

A live call that ends within hours is never written there: only what began before `warehouse.open_before` is, or is
silent for long. That time moves on with the events, once in several hours; what it passes is looked up in the facts.
"""

from datetime import datetime, timedelta

import duckdb

from processors.entities.episodes import (
    MAY_GO_ON,
    MONTH,
    SILENCE,
)
from processors.entities.time_ranges import Span
from warehouse.query import run, value

HOURS = timedelta(hours=8)
"""How far behind the newest event `open_before` is set: few calls last so long, and it seldom has to move."""

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

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
"""The rows of `lives` that are open, or may be, given their events in `touched`."""


def advance(db: duckdb.DuckDBPyConnection, spans: list[Span], at: datetime) -> datetime:
    """Have all open entities named that an event in `spans` can belong to; returns the time before which all are.

    `at` is the evaluation time: a single event from the future moves no further than that what is kept from now on.
    """
    before: datetime = value(db, "select coalesce(open_before, 'epoch'::timestamptz) from warehouse")
    newest = max((end for _, end in spans), default=EPOCH)
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
    """Have a rebuild of a warehouse that never said so name all entities that are open: what landed is all there is."""
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
    """In which quarters of an hour something was heard of those entities in `seeded` that are named."""
    found = value(
        db,
        """
        select list(distinct quarter)
        from (select unnest(quarters) as quarter from open_entities where entity in (from seeded))
        """,
    )
    return list(found or [])


def note(db: duckdb.DuckDBPyConnection, before: datetime, at: datetime) -> None:
    """Name those of `lives`, with their events in `touched`, that must be; forget those that are over."""
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
