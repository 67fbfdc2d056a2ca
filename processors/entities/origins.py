"""Origins: the best way in which each event came, in whatever order its deliveries came.

The row of an event keeps the origin of its first delivery. Where a later one came in a better way, as a webhook after
the reconciler's copy, `better_origins` names it: so the `origins` of facts depend on no order.
"""

import duckdb

from warehouse.query import run, value

RANK = "array_position(['webhook', 'reconciler', 'replay'], origin)"
"""The smaller, the better: only a webhook was verified; the reconciler asked Telnyx itself."""

_REOPEN = """
    insert into reopened
    select entity, occurred_at from fresh
    where event_id in {ids}
    union all
    select call_control_id, occurred_at from fresh
    where event_type = 'conference.participant.joined' and call_control_id is not null
    and event_id in {ids}
"""
"""Reopens the entities of events of `fresh`; what a join says is its leg's, too."""


def remember_repeated(db: duckdb.DuckDBPyConnection, content: str) -> None:
    """Name in `better_origins` the better ways in which `fresh` repeats an event."""
    run(
        db,
        f"""
        create or replace temp table better as
        select event_id, content, origin, log_partition, log_offset
        from (
            select
                event_id,
                {content} as content,
                origin,
                log_partition,
                log_offset,
                {RANK} as rank,
                first_value({RANK}) over (
                    partition by event_id, {content}
                    order by log_partition, log_offset
                ) as first_rank
            from fresh
            where event_id in (select event_id from fresh group by event_id having count(*) > 1)
        )
        where rank < first_rank
        """,
    )
    run(db, "insert into better_origins from better")
    run(db, "create or replace temp table repeated_better as select event_id from better")


def remember_known(db: duckdb.DuckDBPyConnection, content: str, *, repeated: bool) -> None:
    """Name in `better_origins` the better ways in which `fresh` repeats `known` events; their entities are `reopened`.

    `repeated` says that `remember_repeated` went before.
    """
    if not value(db, "select count(*) from known where origin <> 'webhook'"):
        return
    run(
        db,
        f"""
        create or replace temp table better_known as
        with held as (
            select event_id, content, min({RANK}) as rank
            from (
                select event_id, content, origin from known
                union all
                select event_id, content, origin from better_origins
                where event_id in (select event_id from known)
            )
            group by event_id, content
        )
        select told.*
        from (
            select
                event_id,
                {content} as content,
                origin,
                log_partition,
                log_offset,
                entity,
                occurred_at,
                {RANK} as rank
            from fresh
            where event_id in (select event_id from known)
        ) as told
        join held on told.event_id = held.event_id and told.content = held.content and told.rank < held.rank
        """,
    )
    run(db, "insert into better_origins select event_id, content, origin, log_partition, log_offset from better_known")
    run(db, _REOPEN.format(ids="(select event_id from better_known)"))
    if repeated:
        run(db, _REOPEN.format(ids="(from repeated_better semi join known using (event_id))"))


def improve(db: duckdb.DuckDBPyConnection, content: str) -> None:
    """Let `touched` say of each event the best way in which it came. Needs `lives`."""
    if not value(db, "select count(*) from better_origins"):
        return
    run(
        db,
        f"""
        update touched set origin = best.origin
        from (
            select row_id, min_by(origin, {RANK}) as origin, min({RANK}) as rank
            from (
                select told.rowid as row_id, told.event_id, {content} as content
                from touched as told join lives using (life)
                where event_id in (select event_id from better_origins)
            )
            join better_origins using (event_id, content)
            group by row_id
        ) as best
        where touched.rowid = best.row_id
        and best.rank < array_position(['webhook', 'reconciler', 'replay'], touched.origin)
        """,
    )


def of_lives(db: duckdb.DuckDBPyConnection) -> None:
    """Make `life_origins` (life, origins): the ways in which the events in `touched` came, in order, with commas."""
    run(
        db,
        """
        create or replace temp table life_origins as
        select life, string_agg(distinct origin, ',' order by origin) as origins
        from touched group by life
        """,
    )
