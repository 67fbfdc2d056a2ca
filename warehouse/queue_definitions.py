"""What is agreed for each queue from a date on, in the warehouse: what its views judge visits by, as reports do."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta

import duckdb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_HELD = """
select queue, epoch_us(effective_from), threshold_ms, short_abandon_ms, target, variant, timezone
from queue_definitions
"""

_ROW = "insert into queue_definitions values (?, make_timestamptz(?::bigint), ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class QueueDefinition:
    """What holds for a queue from an instant (UTC; None: ever since) up to its next one.

    A queue of None stands for every queue that has none of its own.
    """

    queue: str | None
    effective_from: datetime | None
    threshold_ms: int
    short_abandon_ms: int
    target: float
    variant: str
    timezone: str


def put(db: duckdb.DuckDBPyConnection, definitions: Iterable[QueueDefinition]) -> bool:
    """Make these all that hold; returns whether others were there, and writes nothing if not."""
    wanted = [(each.queue, _micros(each.effective_from), *astuple(each)[2:]) for each in definitions]
    if set(db.execute(_HELD).fetchall()) == set(wanted):
        return False
    db.begin()
    db.execute("delete from queue_definitions")
    for row in wanted:
        db.execute(_ROW, row)
    db.commit()
    return True


def _micros(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // timedelta(microseconds=1)
