"""Conflicts: one event id with several contents. All versions are kept, and one of them counts.

Two deliveries of an id are versions of one event where anything differs that facts rest on. Within one episode of one
entity, the version with the earliest time counts; of several with that time, the first by content: so neither order
nor batching decides. The others stay in `stored_events`, are named in `contradictions`, and are left out of all facts
and of the view `events`.

Events of types on which no fact rests have no episodes: their versions meet within a quarter of an hour.
"""

from datetime import datetime

import duckdb

from processors.entities import origins
from processors.events.columns import SAID
from processors.events.time_ranges import TimeRange
from warehouse.query import run, value

_WORDS = ", ".join(name for name in SAID.split(", ") if name != "entity")  # which follows from the others

CONTENT = f"md5(row({_WORDS}, said_in(details))::varchar)"
"""A digest of an event, as far as facts rest on it. It takes as long as parsing, so only few events get one."""


def drop_repeated(db: duckdb.DuckDBPyConnection) -> None:
    """Leave in `fresh` each content of each id once, the first of the log."""
    origins.remember_repeated(db, CONTENT)
    run(
        db,
        f"""
        delete from fresh where rowid in (
            select row_id from (
                select
                    rowid as row_id,
                    row_number() over (partition by event_id, {CONTENT} order by log_partition, log_offset) as nth
                from fresh
                where event_id in (select event_id from fresh group by event_id having count(*) > 1)
            )
            where nth > 1
        )
        """,
    )


def drop_known(db: duckdb.DuckDBPyConnection, ranges: list[TimeRange], *, repeated: bool) -> int:
    """Leave in `fresh` the events that `stored_events`, within `ranges`, does not hold with that id and content.

    Makes `known` (event_id, content, origin) of the ids that it holds, and returns how many. `repeated` says that
    `drop_repeated` went before.
    """
    run(db, "create or replace temp table known (event_id varchar, content varchar, origin varchar)")
    known = 0
    for start, end in ranges:
        known += value(
            db,
            f"""
            insert into known
            select event_id, {CONTENT}, origin from stored_events
            where occurred_at >= ? and occurred_at < ? and event_id in (select event_id from fresh)
            """,
            [start, end],
        )
    if known:
        origins.remember_known(db, CONTENT, repeated=repeated)
        run(
            db,
            f"""
            delete from fresh where rowid in (
                select row_id from (
                    select rowid as row_id, event_id, {CONTENT} as content from fresh
                    where event_id in (select event_id from known)
                )
                semi join known using (event_id, content)
            )
            """,
        )
    return known


def resolve(db: duckdb.DuckDBPyConnection) -> None:
    """Leave one version of each id in `touched`; make `disputed` (event_id, entity, content, row_id, counts) of all."""
    _dispute(
        db,
        f"""
        select touched.rowid as row_id, life, event_id, occurred_at, entity, {CONTENT} as content
        from touched join lives using (life)
        where (life, event_id) in (select (life, event_id) from touched group by life, event_id having count(*) > 1)
        """,
    )
    run(db, "delete from touched where rowid in (select row_id from disputed where not counts)")
    run(
        db,
        """
        update lives set revision = held.revision
        from (select life, count(*) as revision from touched group by life) as held
        where lives.life = held.life
        """,
    )


def resolve_others(db: duckdb.DuckDBPyConnection, ranges: list[TimeRange], now: datetime) -> int:
    """The same for new events of types on which no fact rests, and stored ones within `ranges`. Needs `known`.

    Ranges are whole quarters of an hour, so versions meet in whatever batches they come. Returns as `remember`.
    """
    others = "event_type not in (from relevant_types)"
    run(
        db,
        f"""
        create or replace temp table rivals as
        select event_id from fresh
        where {others}
        and (
            event_id in (select event_id from known)
            or event_id in (select event_id from fresh group by event_id having count(*) > 1)
        )
        """,
    )
    if not value(db, "select count(*) from rivals"):
        return 0
    columns = f"""
        null as row_id, (entity, quarter_of(occurred_at)) as life, event_id, occurred_at, entity, {CONTENT} as content
    """
    within = " or ".join(["occurred_at >= ? and occurred_at < ?"] * len(ranges))
    _dispute(
        db,
        f"""
        select {columns} from fresh where event_id in (from rivals) and {others}
        union all
        select {columns} from stored_events where event_id in (from rivals) and {others} and ({within})
        """,
        [moment for each in ranges for moment in each],
    )
    return remember(db, ranges, now)


def _dispute(db: duckdb.DuckDBPyConnection, versions: str, parameters: list[datetime] | None = None) -> None:
    run(
        db,
        f"""
        create or replace temp table disputed as
        select
            event_id,
            entity,
            content,
            row_id,
            row_number() over (partition by life, event_id order by occurred_at, content) = 1 as counts
        from ({versions})
        """,
        parameters,
    )


def remember(db: duckdb.DuckDBPyConnection, ranges: list[TimeRange], now: datetime) -> int:
    """Name in `contradictions` the versions of `disputed` that do not count, and no other; returns how many.

    It takes them from `fresh`, and from `stored_events` within `ranges`.
    """
    columns = f"event_id, entity, event_type, occurred_at, log_partition, log_offset, {CONTENT} as content"
    within = " or ".join(["occurred_at >= ? and occurred_at < ?"] * len(ranges))
    run(
        db,
        f"""
        create or replace temp table versions as
        select told.* exclude (content), counts
        from (
            select {columns} from fresh where event_id in (select event_id from disputed)
            union all
            select {columns} from stored_events where event_id in (select event_id from disputed) and ({within})
        ) as told
        join disputed using (event_id, entity, content)
        """,
        [moment for each in ranges for moment in each],
    )
    place = "(log_partition, log_offset)"
    run(db, f"delete from contradictions where {place} in (select {place} from versions)")
    return int(
        value(
            db,
            """
            insert into contradictions
            select event_id, entity, event_type, occurred_at, ?, log_partition, log_offset
            from versions where not counts
            """,
            [now],
        )
    )
