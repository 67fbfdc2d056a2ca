"""Where reports read: the warehouse, or its replica, opened read-only and locked down."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from reports.errors import SourceError
from reports.report import Basis

_LOCKED_DOWN = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_TABLES = {"queue_visits", "conferences", "events", "log_positions"}


@dataclass(frozen=True, slots=True)
class Source:
    """A connection to read from, and when the file behind it was published (UTC; None when it is not a file)."""

    db: duckdb.DuckDBPyConnection
    published_at: datetime | None = None

    def basis(self) -> Basis:
        """Return how far the log had landed in what is read here."""
        # As microseconds, because DuckDB hands out a TIMESTAMPTZ row only where pytz is installed.
        rows = self.db.execute(
            "select log_partition, log_offset, epoch_us(landed_at) from log_positions order by log_partition"
        ).fetchall()
        ((events,),) = self.db.execute("select count(*) from events").fetchall()
        landed = max((row[2] for row in rows), default=None)
        return Basis(
            landed_at=None if landed is None else datetime.fromtimestamp(landed / 1_000_000, UTC),
            published_at=self.published_at,
            positions=tuple((partition, offset) for partition, offset, _ in rows),
            events=events,
        )


@contextmanager
def opened(path: Path, *, memory_limit: str = "1GB") -> Iterator[Source]:
    """Yield the warehouse or replica at `path` for reading, its time zone UTC, without access to files or network.

    The replica is published as a whole by an atomic swap, so the file's own time says when. Raises SourceError.
    """
    if not path.is_file():
        message = (
            f"{path} is not there yet: reports read the replica, which is published a few seconds after the first "
            "event has landed. Start `holdtime up` (or `holdtime process`), or name the right file in HOLDTIME_REPLICA"
        )
        raise SourceError(message)
    published_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    db = _connected(path, memory_limit)
    try:
        db.execute("set timezone = 'UTC'")
        db.execute("set lock_configuration = true")
        _require_tables(db, path)
        yield Source(db, published_at)
    finally:
        db.close()


def _connected(path: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(path, read_only=True, config={**_LOCKED_DOWN, "memory_limit": memory_limit})
    except duckdb.ConnectionException as error:
        message = (
            f"{path} is open in this very process with other settings: read from that connection instead ({error})"
        )
        raise SourceError(message) from error
    except duckdb.IOException as error:
        if "lock" in str(error):
            message = (
                f"{path} is locked by the process that writes it, and DuckDB lets nobody else in: read the replica "
                "(HOLDTIME_REPLICA, by default data/replica.duckdb), or stop the writer first"
            )
            raise SourceError(message) from error
        raise SourceError(f"{path} cannot be read as a DuckDB file: {_first_line(error)}") from error
    except duckdb.Error as error:
        raise SourceError(f"{path} cannot be opened: {_first_line(error)}") from error


def _require_tables(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    found = {name for (name,) in db.execute("select table_name from duckdb_tables()").fetchall()}
    if missing := sorted(_TABLES - found):
        message = (
            f"{path} is not a holdtime warehouse: expected the tables {sorted(_TABLES)}, found none named {missing}"
        )
        raise SourceError(message)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
