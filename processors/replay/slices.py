"""Slices of time: how a history that does not fit into memory is gone through."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from warehouse.instants import EPOCH, MICROSECOND

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
"""After all events: the last slice ends there."""


@dataclass(frozen=True, slots=True)
class Slicing:
    """How history is cut: a slice is whole granules of time, as few of them as hold `events`.

    In a rebuild, episodes that may go on after a slice are carried into the next one, so a granule much shorter than an
    episode makes the same events pass by again and again.
    """

    events: int = 1_000_000
    granule: timedelta = timedelta(days=1)

    def cut(self, db: duckdb.DuckDBPyConnection, events: str, *, since: datetime) -> Iterator[tuple[datetime, int]]:
        """Where each slice of the table `events` ends, from `since` on, and how many events are in it, in order.

        A slice holds what is before its end; the last one ends never. No events, no slices.
        """
        granules = db.execute(
            f"""
            select epoch_us(occurred_at) // ? as nth, count(*)
            from {events}
            where occurred_at >= ?
            group by nth
            order by nth
            """,
            [self.granule // MICROSECOND, since],
        ).fetchall()
        held = 0
        for nth, count in granules[:-1]:
            held += count
            if held >= self.events:
                yield EPOCH + (nth + 1) * self.granule, held
                held = 0
        if granules:
            yield FOREVER, held + granules[-1][1]


BY_THE_DAY = Slicing()
