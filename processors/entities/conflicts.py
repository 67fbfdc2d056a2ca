"""One event id told with different contents: all are kept, and one of them counts.

Two deliveries of an id contradict each other if anything differs that facts rest on; however it is written, and however
it came. They are rivals within one life of one entity, so that which of them counts depends on neither order nor
batching: what says the earliest time, of those what comes first by its content. The others stay in `stored_events`, are
named in `contradictions`, and are left out of all facts and of the view `events`.

Events of types on which no fact rests have no lives: they are rivals of each other alone, within a quarter of an hour.
"""

from datetime import datetime

import duckdb

from processors.entities import origins
from processors.entities.history import SAID
from processors.entities.time_ranges import Span
from warehouse.query import run, value

_WORDS = ", ".join(name for name in SAID.split(", ") if name != "entity")  # which follows from the others

CONTENT = f"md5(row({_WORDS}, said_in(details))::varchar)"
"""What an event says, as far as facts rest on it. Not for every event: it takes as long as parsing."""


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


def drop_known(db: duckdb.DuckDBPyConnection, spans: list[Span], *, repeated: bool) -> int:
    """Leave in `fresh` what `stored_events` does not hold with that id and content; it is looked for in `spans`.

    Returns how many of the ids it holds, and makes `known` (event_id, content, origin) of them. `repeated` says that
    `drop_repeated` went before.
    """
    run(db, "create or replace temp table known (event_id varchar, content varchar, origin varchar)")
    known = 0
    for start, end in spans:
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


def settle(db: duckdb.DuckDBPyConnection) -> None:
    """Leave one of each id in `touched`; make `disputed` (event_id, entity, content, row_id, counts) of all rivals."""
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


def settle_others(db: duckdb.DuckDBPyConnection, spans: list[Span], now: datetime) -> int:
    """The same for new events of types on which no fact rests, and those that `spans` hold. Needs `known`.

    Spans are made of whole quarters of an hour, so rivals meet in whatever batches they come.
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
    within = " or ".join(["occurred_at >= ? and occurred_at < ?"] * len(spans))
    _dispute(
        db,
        f"""
        select {columns} from fresh where event_id in (from rivals) and {others}
        union all
        select {columns} from stored_events where event_id in (from rivals) and {others} and ({within})
        """,
        [moment for span in spans for moment in span],
    )
    return remember(db, spans, now)


def _dispute(db: duckdb.DuckDBPyConnection, rivals: str, parameters: list[datetime] | None = None) -> None:
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
        from ({rivals})
        """,
        parameters,
    )


def remember(db: duckdb.DuckDBPyConnection, spans: list[Span], now: datetime) -> int:
    """Name in `contradictions` those of `disputed` that do not count, and none that does; return how many there are.

    They are looked for in `fresh`, and in `stored_events` within `spans`.
    """
    columns = f"event_id, entity, event_type, occurred_at, log_partition, log_offset, {CONTENT} as content"
    within = " or ".join(["occurred_at >= ? and occurred_at < ?"] * len(spans))
    run(
        db,
        f"""
        create or replace temp table told as
        select told.* exclude (content), counts
        from (
            select {columns} from fresh where event_id in (select event_id from disputed)
            union all
            select {columns} from stored_events where event_id in (select event_id from disputed) and ({within})
        ) as told
        join disputed using (event_id, entity, content)
        """,
        [moment for span in spans for moment in span],
    )
    place = "(log_partition, log_offset)"
    run(db, f"delete from contradictions where {place} in (select {place} from told)")
    return int(
        value(
            db,
            """
            insert into contradictions
            select event_id, entity, event_type, occurred_at, ?, log_partition, log_offset from told where not counts
            """,
            [now],
        )
    )
