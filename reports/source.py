"""Where reports read: the warehouse, or its replica, opened read-only and locked down."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from reports.basis import Basis
from reports.errors import SourceError
from warehouse import os_error, readers
from warehouse.database import READING_MEMORY
from warehouse.errors import Trouble, WarehouseError, described, trouble


@dataclass(frozen=True, slots=True)
class Source:
    """A connection to read from, and when the file behind it was published (UTC; None when it is not a file).

    `as_of` is the clock of the log's position where what is read here are the facts as they were known then, and
    `schema` where in the database they are.
    """

    db: duckdb.DuckDBPyConnection
    published_at: datetime | None = None
    as_of: datetime | None = None
    schema: str = "main"

    def basis(self) -> Basis:
        """Return how far the log had landed in what is read here."""
        # As microseconds, because DuckDB hands out a TIMESTAMPTZ row only where pytz is installed.
        rows = self.db.execute(
            "select log_partition, log_offset, epoch_us(landed_at) from log_positions order by log_partition"
        ).fetchall()
        ((events,),) = self.db.execute("select count(*) from events").fetchall()
        digests = self.db.execute("select digest from fact_definitions order by digest").fetchall()
        waits = self.db.execute("select longest_wait_ms from warehouse").fetchall()
        landed = max((row[2] for row in rows), default=None)
        if self.as_of is not None:
            landed = None
        return Basis(
            landed_at=None if landed is None else datetime.fromtimestamp(landed / 1_000_000, UTC),
            published_at=self.published_at,
            positions=tuple((partition, offset) for partition, offset, _ in rows),
            events=events,
            fact_definitions=tuple(digest for (digest,) in digests),
            longest_wait_ms=waits[0][0] if waits else None,
            as_of=self.as_of,
        )


@contextmanager
def opened(path: Path, *, memory_limit: str = READING_MEMORY) -> Iterator[Source]:
    """Yield the warehouse or replica at `path` for reading, its time zone UTC, without access to files or network.

    The replica is published as a whole by an atomic swap, so the file's own time says when. Raises SourceError, also
    where the file turns out to be damaged, or its disk not to answer, while it is read.
    """
    try:
        reader = readers.opened(path, memory_limit=memory_limit)
    except WarehouseError as error:
        raise SourceError(str(error)) from None
    except OSError as error:
        raise SourceError(os_error.line(error)) from None
    try:
        yield Source(reader.db, reader.published_at)
    except duckdb.Error as error:
        if trouble(error) in {Trouble.FAULT, Trouble.OUT_OF_MEMORY}:
            raise
        raise SourceError(described(error, path)) from None
    finally:
        reader.close()
