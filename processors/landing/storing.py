"""Storing: the new events of a batch, with their bodies as they came."""

from datetime import datetime

import duckdb

from processors.entities import identity
from processors.events import stray
from processors.events.columns import STORED, joins
from processors.events.reading import Summary
from warehouse.query import run, value


def append(db: duckdb.DuckDBPyConnection, summary: Summary, now: datetime, *, from_table: bool) -> int:
    """Append `fresh`, which `summary` describes, to `stored_events`; returns how many events.

    Bodies come from `delivered`. With `from_table`, `said_ahead` has all that `fresh` was made of, bodies too.
    """
    source = "delivered join fresh using (log_partition, log_offset)"
    unchanged = not summary.undated and not summary.alone
    if from_table and unchanged and value(db, "select count(*) from fresh") == summary.records:
        source = "said_ahead as fresh"  # nothing was left out, dated anew or given another entity: no join is needed
    kept: int = value(
        db,
        f"""
        insert into stored_events
        select
            event_id, event_type, occurred_at, occurred_at_source, fresh.received_at, $now, fresh.origin,
            fresh.verified, entity, call_control_id, call_leg_id, call_session_id, connection_id, conference_id,
            queue, direction, from_number, to_number, reason, hangup_source, position, reported_wait_secs, details,
            text, log_partition, log_offset
        from {source}
        """,
        {"now": now},
    )
    if summary.undated:
        run(
            db,
            """
            insert into undated_events
            select distinct event_id, occurred_at from fresh
            where occurred_at_source = 'received_at'
            and event_id not in (select event_id from undated_events)
            """,
        )
    if summary.joins:
        run(db, f"insert into participant_joins {joins('fresh', STORED)}")
    if summary.alone:
        identity.store(db)
    stray.note(db, summary.ranges, now)
    return kept
