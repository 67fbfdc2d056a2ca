"""Twins: events that are equal in everything but their id. They are one event, sent under two ids.

The event with the first id counts. `told_twice` names the others, which stay in `stored_events` and are left out of all
facts and of the view `events`.
"""

from datetime import datetime

import duckdb

from processors.entities.origins import RANK
from processors.events.columns import SAID
from processors.events.time_ranges import TimeRange
from warehouse.query import run, value

_WORDS = ", ".join(name for name in SAID.split(", ") if name not in ("event_id", "entity"))


TOLD_AGAIN = """
    select event_id, entity, event_type, occurred_at, stored_at as found_at, log_partition, log_offset
    from stored_events
    semi join (from twins where is_told_again) as told_again using (event_id, entity, occurred_at)
    where occurred_at >= (select min(occurred_at) from twins) and occurred_at <= (select max(occurred_at) from twins)
"""
"""The rows of `told_twice` that `twins` are, where all of them are stored."""


def unite(db: duckdb.DuckDBPyConnection) -> bool:
    """Leave one of each event in `touched`, with the best way in which it came; returns whether there were twins.

    Makes `twins` (event_id, entity, occurred_at), those that do not count. Needs `lives`.
    """
    if not value(
        db,
        """
        select count(*) from (
            select life from touched group by life, event_type, occurred_at having count(*) > 1
        )
        """,
    ):
        return False
    run(
        db,
        f"""
        create or replace temp table twins as
        with rivals as (
            select
                touched.rowid as row_id,
                life,
                event_id,
                lives.entity,
                occurred_at,
                origin,
                hash({_WORDS}, details) as words
            from touched
            join lives using (life)
            where (life, event_type, occurred_at) in (
                select (life, event_type, occurred_at)
                from touched group by life, event_type, occurred_at having count(*) > 1
            )
        )
        select
            *,
            first_value(row_id) over same as first_row,
            row_number() over same > 1 as is_told_again,
            first_value(origin) over (partition by life, occurred_at, words order by {RANK}, event_id) as best_origin
        from rivals
        window same as (partition by life, occurred_at, words order by event_id)
        """,
    )
    run(
        db,
        "delete from twins where row_id not in (select first_row from twins where is_told_again) and not is_told_again",
    )
    if not value(db, "select count(*) from twins"):
        return False
    run(
        db,
        """
        update touched set origin = best_origin
        from twins
        where touched.rowid = row_id and not is_told_again
        """,
    )
    run(db, "delete from touched where rowid in (select row_id from twins where is_told_again)")
    run(
        db,
        """
        update lives set revision = held.revision
        from (select life, count(*) as revision from touched group by life) as held
        where lives.life = held.life
        """,
    )
    return True


def remember(db: duckdb.DuckDBPyConnection, ranges: list[TimeRange], now: datetime) -> int:
    """Name in `told_twice` the events of `twins` that do not count, and no other; returns how many.

    It takes them from `fresh`, and from `stored_events` within `ranges`.
    """
    columns = "event_id, entity, event_type, occurred_at, log_partition, log_offset"
    within = " or ".join(["occurred_at >= ? and occurred_at < ?"] * len(ranges))
    run(
        db,
        f"""
        create or replace temp table copies as
        select told.*, is_told_again
        from (
            select {columns} from fresh where event_id in (select event_id from twins)
            union all
            select {columns} from stored_events where event_id in (select event_id from twins) and ({within})
        ) as told
        join twins using (event_id, entity, occurred_at)
        """,
        [moment for each in ranges for moment in each],
    )
    place = "(log_partition, log_offset)"
    run(db, f"delete from told_twice where {place} in (select {place} from copies)")
    return int(
        value(
            db,
            """
            insert into told_twice
            select event_id, entity, event_type, occurred_at, ?, log_partition, log_offset
            from copies where is_told_again
            """,
            [now],
        )
    )
