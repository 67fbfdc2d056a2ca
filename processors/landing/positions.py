"""Positions: how far each partition of the log has landed, kept in the transaction that lands."""

from datetime import datetime

import duckdb

from eventlog.batch import Positions
from warehouse.query import run


def landed(db: duckdb.DuckDBPyConnection) -> Positions:
    """The last offset that landed, by partition."""
    return dict(run(db, "select log_partition, log_offset from log_positions").fetchall())


def advance(db: duckdb.DuckDBPyConnection, reached: Positions, now: datetime) -> None:
    """Note that the log has landed up to `reached`, at `now`."""
    before = landed(db)
    for partition, offset in reached.items():
        if partition not in before:
            run(db, "insert into log_positions values (?, ?, ?)", [partition, offset, now])
        else:
            run(
                db,
                "update log_positions set log_offset = ?, landed_at = ? where log_partition = ?",
                [offset, now, partition],
            )
