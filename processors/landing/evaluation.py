"""The evaluation time: by which clock a visit that nobody ended becomes unknown, and which clocks are not believed."""

from datetime import datetime, timedelta

import duckdb

from eventlog.batch import Positions
from warehouse.instants import instant
from warehouse.query import run, value

LONGEST_WAIT = timedelta(hours=24)
"""A visit without an end for longer than this is `unknown` (METRICS, queue visits)."""

SAMPLE = 2_000
"""How many of the last positions of each partition are asked. Positions are in order, whatever clocks say."""

ENOUGH = 500
"""How many events it takes to contradict a clock. With fewer, following a wrong clock back costs little."""


def evaluation_time(db: duckdb.DuckDBPyConnection, now: datetime) -> datetime:
    """Return the time by which facts are to be evaluated, where the clock says `now`.

    That is `now`, also where the last evaluation was later: one of the two clocks had jumped, and what the later time
    made unknown waits again. Only a clock that is behind what the last events say (`witnessed_at`) is not believed.
    """
    before = last(db)
    if before is None or now >= before:
        return now
    witnessed = witnessed_at(db, enough=ENOUGH)
    return now if witnessed is None else max(now, min(witnessed, before))


def last(db: duckdb.DuckDBPyConnection) -> datetime | None:
    """Return the time by which the facts are evaluated now; None where nothing has landed."""
    stored = value(db, "select epoch_us(judged_at) from warehouse")
    return None if stored is None else instant(stored)


def witnessed_at(db: duckdb.DuckDBPyConnection, *, enough: int = 1) -> datetime | None:
    """Return a time that has certainly come: three of four of the last events say so; None if fewer than `enough` can.

    A webhook says the earlier of two clocks, the sender's and the receiver's, so neither alone can make it too late. A
    quarter of the events may be from long ago, or from a clock that had jumped.
    """
    reached = run(db, "select log_partition, log_offset from log_positions").fetchall()
    if not reached:
        return None
    latest = " union all ".join(
        f"""
        select if(origin = 'webhook', least(received_at, occurred_at), received_at) as witnessed_at
        from stored_events
        where log_partition = {partition} and log_offset > {offset - SAMPLE}
        """
        for partition, offset in reached
    )
    ((events, witnessed),) = run(
        db, f"select count(*), epoch_us(quantile_disc(witnessed_at, 0.25)) from ({latest})"
    ).fetchall()
    return instant(witnessed) if events >= enough else None


def landed_before(db: duckdb.DuckDBPyConnection, now: datetime, keep: timedelta) -> tuple[datetime, Positions]:
    """Return which records came longer ago than `keep`, where the clock says `now`: until when, and up to where.

    `now` counts only as far as the events say so. Records after the first that both its clocks say is younger are
    younger too, whatever was noted of when they came. It returns no position where no event shows the time.
    """
    witnessed = witnessed_at(db)
    if witnessed is None:
        return now - keep, {}
    before = min(now, witnessed) - keep
    landed = dict(run(db, "select log_partition, log_offset from log_positions").fetchall())
    younger = dict(
        run(
            db,
            """
            select log_partition, min(log_offset)
            from stored_events
            where received_at >= $before
            and occurred_at >= $before
            and least(received_at, occurred_at) <= $witnessed
            group by log_partition
            """,
            {"before": before, "witnessed": witnessed},
        ).fetchall()
    )
    return before, {partition: min(last, younger.get(partition, last + 1) - 1) for partition, last in landed.items()}


def note(db: duckdb.DuckDBPyConnection, at: datetime) -> None:
    """Note the time by which the facts are evaluated from now on."""
    run(db, "update warehouse set judged_at = ?", [at])


def require_longest_wait(db: duckdb.DuckDBPyConnection, longest_wait: timedelta) -> None:
    """Note in a new warehouse how long a visit may last; raise ValueError if facts were derived with another length."""
    wanted = longest_wait // timedelta(milliseconds=1)
    held = value(db, "select longest_wait_ms from warehouse")
    if held is None:
        run(db, "update warehouse set longest_wait_ms = ?", [wanted])
    elif held != wanted:
        raise ValueError(
            f"the warehouse's facts hold for a longest wait of {held} ms, the configuration says {wanted} ms: "
            "run `holdtime rebuild`, or set it back"
        )
