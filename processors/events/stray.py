"""Events whose time is years away from their receipt and from all else that came with them: somebody's wrong clock.

They land as what they say, and `stray_events` names them, so that `holdtime doctor` can.
"""

from datetime import datetime, timedelta

import duckdb

from processors.entities.time_ranges import Span
from warehouse.query import run

YEAR = timedelta(days=366)


def note(db: duckdb.DuckDBPyConnection, spans: list[Span], now: datetime) -> None:
    """Name those in `fresh`, all of which lies in `spans`; nearly always a look at the spans is enough."""
    if all(now - YEAR < start and end < now + YEAR for start, end in spans):
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
