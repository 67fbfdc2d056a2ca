"""Facts as they were known at a position of the log: derived from what had landed by then, and from nothing else."""

from datetime import datetime, timedelta

import duckdb

from eventlog.batch import Positions
from processors.entities import (
    episodes,
    identity,
)
from processors.entities.conflicts import CONTENT
from processors.events import columns
from processors.facts import EVENT_TYPES, FACTS, derivation, digest
from processors.facts.derivation import Evaluation
from warehouse import catalog
from warehouse.instants import instant
from warehouse.query import value
from warehouse.scratch import SOURCE

EVENTS_A_SHARE = 2_000_000
"""How many events are derived from at a time: about what half a gigabyte of memory takes."""


class UnreachedError(Exception):
    """The log had not landed that far. The text says what was asked, how far it has landed and what to do."""


def derive(db: duckdb.DuckDBPyConnection, positions: Positions) -> datetime:
    """Make the facts of what had landed up to `positions`, included, in the current schema of a scratch database.

    A partition that is not named had landed nothing. The facts are evaluated by the clock of the log: the time at which
    the last record up to there that the warehouse keeps was received, which is returned; so neither today's clock nor
    anything that landed later changes them. The last is the one with the greatest offset, whatever the clocks of those
    before it said; a stale one, whose sender's clock contradicts ours, is none. The first of several deliveries of one
    event is the one that counts, as in landing. Out of core: a share of the history is derived from at a time. Raises
    UnreachedError.
    """
    landed = db.execute(f"select log_partition, log_offset from {SOURCE}.log_positions").fetchall()
    require_reached(positions, dict(landed))
    events = columns.relevant("stored_events")
    if _bound(db, positions):
        events = f"{events} union all {identity.joins_alone('stored_events')}"
    clock = instant(value(db, "select epoch_us(judged_at) from warehouse"))
    waits = value(db, "select longest_wait_ms from warehouse")
    evaluation = Evaluation(clock, timedelta(milliseconds=waits))
    columns.prepare(db, EVENT_TYPES)
    shares = 1 + value(db, "select count(*) from stored_events") // EVENTS_A_SHARE
    for share in range(shares):
        db.execute(
            f"""
            create or replace temp table share as
            select * from ({events}) where hash(entity) % ? = ?
            """,
            [shares, share],
        )
        db.execute("create or replace temp view found as select *, true as is_seed from share")
        episodes.number(db)
        episodes.gather(db)
        derived = derivation.derive(db, evaluation)
        for each in derived.facts:
            db.execute(f"insert into {each.fact.table} {each.query}", each.parameters)
        if derived.twinned:
            db.execute("insert into twins_of_all select event_id, entity, occurred_at from twins where is_told_again")
    _contradict(db)
    _name_twins(db)
    catalog.judge(db)
    return clock


def require_reached(positions: Positions, landed: Positions) -> None:
    """Raise UnreachedError when a position is beyond the last one that landed, or of a partition that never did."""
    last = ",".join(f"{partition}:{offset}" for partition, offset in sorted(landed.items())) or "nothing"
    for partition, offset in sorted(positions.items()):
        if partition not in landed:
            raise UnreachedError(f"partition {partition} of the log has never landed: the last that did is {last}")
        if offset > landed[partition]:
            raise UnreachedError(
                f"position {partition}:{offset} has not landed yet: the last that did is {last}; name that or an "
                "earlier one, or wait until it has"
            )


def _contradict(db: duckdb.DuckDBPyConnection) -> None:
    """Make `contradictions`: of the rivals that had landed, all but the one that counted then.

    That is the one that counts today, if it had landed; else the first of those that had, in the order that
    `processors.entities.conflicts` puts them in.
    """
    db.execute(
        f"""
        create table contradictions as
        with landed as (
            select found.*
            from {SOURCE}.contradictions as found
            join log_positions as reached
            on found.log_partition = reached.log_partition
            and found.log_offset <= reached.log_offset
        ),
        rivals as (
            select
                log_partition,
                log_offset,
                row_number() over (partition by event_id, entity order by occurred_at, {CONTENT}) as nth
            from stored_events
            where (log_partition, log_offset) in (select (log_partition, log_offset) from landed)
        ),
        counting as (
            select event_id, entity
            from stored_events
            where event_id in (select event_id from landed)
            and (log_partition, log_offset) not in (select (log_partition, log_offset) from landed)
        )
        select landed.*
        from landed
        join rivals using (log_partition, log_offset)
        where nth > 1
        or (event_id, entity) in (select (event_id, entity) from counting)
        """
    )


def _name_twins(db: duckdb.DuckDBPyConnection) -> None:
    """Make `told_twice`: of the events that are told with two ids, those that did not count."""
    db.execute(
        """
        create table told_twice as
        select event_id, entity, event_type, occurred_at, received_at as found_at, log_partition, log_offset
        from stored_events
        semi join twins_of_all using (event_id, entity, occurred_at)
        """
    )
    db.execute("drop table twins_of_all")


def _tie(db: duckdb.DuckDBPyConnection) -> bool:
    """Make `stored_events` of what had landed, with the entities of half-named events as they were known then.

    Returns whether there are such events; then `moved` has those that are tied.
    """
    if not identity.tie_all(db, "landed"):
        db.execute("create view stored_events as from landed")
        return False
    db.execute("create table tied as select distinct event_id, call_leg_id, occurred_at, entity from moved")
    db.execute(
        f"""
        create view stored_events as
        select landed.* replace (
            case
                when {columns.ALONE.replace("entity", "landed.entity")} then coalesce(tied.entity, landed.call_leg_id)
                else landed.entity
            end as entity
        )
        from landed
        left join tied using (event_id, call_leg_id, occurred_at)
        """
    )
    return True


def _bound(db: duckdb.DuckDBPyConnection, positions: Positions) -> bool:
    """Make what facts are derived from, bounded by the positions, and empty tables for the facts; returns as `_tie`."""
    db.execute("create table log_positions (log_partition integer, log_offset bigint, landed_at timestamptz)")
    db.executemany("insert into log_positions values (?, ?, null)", [list(each) for each in sorted(positions.items())])
    for table, name in (("stored_events", "landed"), ("rejected",) * 2, ("better_origins",) * 2):
        db.execute(
            f"""
            create view {name} as
            from {SOURCE}.{table} as record
            semi join log_positions as reached
            on record.log_partition = reached.log_partition
            and record.log_offset <= reached.log_offset
            """
        )
    half_named = _tie(db)
    db.execute("create view events as from stored_events")
    db.execute(
        f"""
        create table warehouse as
        select
            schema_version,
            longest_wait_ms,
            (
                select coalesce(max(received_at), 'epoch'::timestamptz)
                from (
                    select max_by(received_at, log_offset) as received_at
                    from (
                        select log_partition, log_offset, received_at from stored_events
                        union all
                        select log_partition, log_offset, received_at from rejected where reason <> 'stale'
                    )
                    group by log_partition
                )
            ) as judged_at
        from {SOURCE}.warehouse
        """
    )
    db.execute(f"create table twins_of_all as select event_id, entity, occurred_at from {SOURCE}.told_twice limit 0")
    db.execute("update log_positions set landed_at = judged_at from warehouse")
    db.execute(
        """
        create table bridged_connections as
        select distinct connection_id from stored_events
        where event_type = 'call.bridged' and connection_id is not null
        """
    )
    db.execute(f"create table fact_definitions as from {SOURCE}.fact_definitions limit 0")
    digest.note(db)
    for fact in FACTS:
        db.execute(f"create table {fact.table} as from {SOURCE}.{fact.table} limit 0")
    return half_named
