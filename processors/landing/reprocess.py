"""Landing what was rejected again: after a fix, or for what was authentic and came by a wrong clock."""

from collections.abc import Callable, Iterator
from datetime import datetime

import duckdb

from eventlog.batch import Batch
from processors.app import BAD_DATA
from processors.events import rejected
from processors.landing.landing import Landed, Landing


def reland(
    db: duckdb.DuckDBPyConnection, landing: Landing, *, reason: str | None, clock: Callable[[], datetime]
) -> Iterator[Landed]:
    """Land all that is in `rejected`, or all of one reason, batch after batch, each in one transaction.

    A crash between two batches leaves the rest where it was, and what landed is not in `rejected` any more.
    """
    for batch in rejected.batches(db, reason):
        yield _land(landing, batch, clock)


def _land(landing: Landing, batch: Batch, clock: Callable[[], datetime]) -> Landed:
    """Land the batch; by halves where it cannot land whole, down to a record that stays where it is."""
    try:
        return landing.land_again(batch, clock())
    except (*BAD_DATA, duckdb.OutOfMemoryException) as error:
        if len(batch) == 1:
            if not isinstance(error, BAD_DATA):
                raise
            return Landed(records=1, events=0, duplicates=0, rejected=1, contradictions=0, facts={})
    half = len(batch) // 2
    return _land(landing, batch.part(0, half), clock) + _land(landing, batch.part(half), clock)
