"""Duplicates: of the events of a batch, those that the warehouse holds already are dropped."""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from processors.entities import conflicts, identity
from processors.events import time_ranges
from processors.events.reading import Summary
from processors.events.time_ranges import TimeRange
from processors.facts import FACTS
from warehouse.query import run


@dataclass(frozen=True, slots=True)
class New:
    """The events left in `fresh` lie within `ranges`; `contradictions` of them and their versions do not count."""

    ranges: list[TimeRange]
    contradictions: int


def drop(db: duckdb.DuckDBPyConnection, summary: Summary, now: datetime) -> New:
    """Leave in `fresh`, which `summary` describes, the events that the warehouse does not hold, each with its entity.

    Makes `known` and may add to `reopened`.
    """
    ranges = _dated(db) if summary.undated else summary.ranges
    identity.resolve(db, ranges, alone=summary.alone, tables=[fact.table for fact in FACTS])
    if summary.repeats:
        conflicts.drop_repeated(db)
    known = conflicts.drop_known(db, ranges, repeated=summary.repeats)
    return New(ranges, conflicts.resolve_others(db, ranges, now) if known or summary.repeats else 0)


def _dated(db: duckdb.DuckDBPyConnection) -> list[TimeRange]:
    """Give an event without a time of its own the time at which it was first received; return the ranges of all."""
    run(
        db,
        """
        update fresh set occurred_at = first.occurred_at
        from (
            select event_id, min_by(occurred_at, nth) as occurred_at
            from (
                select event_id, occurred_at, (log_partition, log_offset) as nth
                from fresh where occurred_at_source = 'received_at'
                union all
                select event_id, occurred_at, (-1, -1) from undated_events
            )
            group by event_id
        ) as first
        where occurred_at_source = 'received_at' and fresh.event_id = first.event_id
        """,
    )
    return time_ranges.of_relation(db, "fresh", "occurred_at")
