"""Stray events: their time is years from their receipt and from all events that came with them. A clock was wrong.

They land with the time that they say. `stray_events` names them for `holdtime doctor`.
"""

from datetime import datetime, timedelta

import duckdb

from processors.events.time_ranges import TimeRange
from warehouse.query import run

YEAR = timedelta(days=366)


def note(db: duckdb.DuckDBPyConnection, ranges: list[TimeRange], now: datetime) -> None:
    """Name the stray events of `fresh`, which lies within `ranges`; nearly always the ranges show that it has none."""
    if all(now - YEAR < start and end < now + YEAR for start, end in ranges):
        return
    run(
        db,
        f"""
        insert into stray_events
        with moments as (
            select *, lag(occurred_at) over (order by occurred_at) as before_it
            from fresh
        ),
        clusters as (
            select
                * exclude (before_it),
                count(*) filter (before_it + to_days({YEAR.days}) < occurred_at) over (order by occurred_at) as cluster
            from moments
        ),
        sizes as (
            select cluster, count(*) as size, row_number() over (order by count(*) desc, cluster) as rank
            from clusters
            group by cluster
        )
        select event_id, event_type, occurred_at, received_at, ?, log_partition, log_offset
        from clusters
        join sizes using (cluster)
        where abs(epoch_us(occurred_at) - epoch_us(received_at)) > {YEAR // timedelta(microseconds=1)}
        and (rank > 1 or origin = 'webhook')
        """,
        [now],
    )
