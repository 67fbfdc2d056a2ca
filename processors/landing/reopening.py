"""Reopening: entities whose facts may change although the batch has no event of theirs."""

from datetime import datetime

import duckdb

from processors.facts.derivation import Evaluation
from warehouse.query import run, value


def begin(db: duckdb.DuckDBPyConnection) -> None:
    """Make `reopened` (entity, moment), empty."""
    run(
        db,
        "create or replace temp table reopened as select entity, entity_since as moment from queue_visits limit 0",
    )


def add(db: duckdb.DuckDBPyConnection, evaluated_before: datetime | None, evaluation: Evaluation) -> None:
    """Add to `reopened` the entities that the passing of time changes, and those that a first bridge changes.

    `evaluated_before` is the evaluation time of the landing before; None in a new warehouse. Needs `fresh`.
    """
    if evaluated_before is not None:
        # Time alone makes a waiting visit unknown, counted from when it was last seen waiting; and a clock that is
        # set back, or right again, makes it wait again.
        start, end = sorted(at - evaluation.longest_wait for at in (evaluated_before, evaluation.at))
        run(
            db,
            """
            insert into reopened
            select entity, entity_since from queue_visits
            where outcome = $outcome and enqueued_at > $start and enqueued_at <= $end
            union all
            select entity, entity_since from queue_visits
            where outcome = $outcome and seen_waiting_at > $start and seen_waiting_at <= $end
            """,
            {
                "outcome": "waiting" if evaluation.at >= evaluated_before else "unknown",
                "start": start,
                "end": end,
            },
        )
    # A connection's first bridge ever changes what its unconfirmed answers mean: once a connection, so unbounded.
    if value(
        db,
        """
        insert into bridged_connections
        select distinct connection_id from fresh
        where event_type = 'call.bridged' and connection_id is not null
        and connection_id not in (from bridged_connections)
        """,
    ):
        run(
            db,
            """
            insert into reopened
            select entity, entity_since from queue_visits
            where reason = 'bridging-in-process' and outcome = 'answered'
            and connection_id in (select connection_id from fresh where event_type = 'call.bridged')
            """,
        )
