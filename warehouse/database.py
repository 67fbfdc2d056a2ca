"""Opening the warehouse file: for its one writer, or for readers."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb

from warehouse import descriptors, migrations, tables
from warehouse.catalog import describe
from warehouse.query import value

SCHEMA_VERSION = 3

_SCHEMA = files(__package__).joinpath("schema.sql").read_text()

STORAGE_VERSION = "v1.2.0"
"""The oldest file format that has zstd; every DuckDB client from 1.2 on opens it."""

ROW_GROUP_SIZE = 24_576
"""A fifth of DuckDB's own: a batch fills groups sooner, so it is compressed once; time bounds cut finer."""

LANDING_MEMORY = "1GB"
"""What landing may use, twice what it does. The nearer DuckDB is to its limit, the more often it gives all free memory
back to the system, only to ask for it again: half of this took a fifth longer.
"""

UNHELPFUL = (
    "aggregate_function_rewriter, aggregate_reuse, build_side_probe_side, column_lifetime, common_subplan, "
    "compressed_materialization, duplicate_groups, join_elimination, join_order, outer_join_simplification, "
    "projection_pullup, redundant_order_keys, statistics_propagation"
)
"""What DuckDB does to statements that only costs time where they are small, many and written for it."""

HARDENING = (
    "global timezone = 'UTC'",
    "enable_external_access = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "lock_configuration = true",
)
"""Queries can reach no file, network or extension: every text in the warehouse came from outside."""


class WarehouseError(Exception):
    """The warehouse cannot be opened; the text says what was expected, what came and what to do."""


class LockedError(WarehouseError):
    """Another process writes the warehouse."""


class OutdatedError(WarehouseError):
    """The warehouse was made by an older holdtime, and its events have to be read anew (`processors.migration`)."""


def open_writer(path: Path, *, memory_limit: str = LANDING_MEMORY, bulk: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the warehouse for writing, creating it and its tables when new, and making its views anew.

    An older schema is brought up to date first, where SQL alone can do that; `bulk` is for a few statements over much,
    from two threads at a time.
    Raises OutdatedError where it cannot, and WarehouseError when another process has the file, when it is not a
    warehouse, or a later holdtime's.
    """
    db = _connected(path, memory_limit=memory_limit, bulk=bulk)
    if not tables.names(db):
        create_tables(db)
    found = _schema_version(db, path)
    if found < SCHEMA_VERSION:
        steps = migrations.statements(found, SCHEMA_VERSION)
        if steps is None:
            db.close()
            raise OutdatedError(
                f"{path} has schema version {found}, this holdtime expects {SCHEMA_VERSION}: "
                "`holdtime up` and `holdtime rebuild` bring it up to date"
            )
        migrations.apply(db, steps)
    describe(db)
    path.chmod(0o600)  # phone numbers are personal data
    if bulk:
        # Ours are among as many threads as there are cores: more would take a sixth more processor time.
        db.execute("set external_threads = ?", [min(2, value(db, "select current_setting('threads')"))])
    _harden(db)
    return db


def open_successor(new: Path, *, old: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Open the new warehouse for writing, made if it is not there, with an older one beside it, as `old`, to read.

    Everything that the old one's write-ahead log held is in its file then. Raises WarehouseError as `open_writer`.
    """
    with _explained(old), duckdb.connect() as db:
        db.execute(f"attach {_quoted(old)} as old")
        db.execute("checkpoint old")
    db = _connected(new, memory_limit=memory_limit, bulk=True)
    with _explained(old):
        db.execute(f"attach {_quoted(old)} as old (read_only)")
    if not tables.names(db):
        create_tables(db)
    describe(db)
    new.chmod(0o600)
    _harden(db)
    return db


def open_reader(path: Path, *, memory_limit: str = "1GB") -> duckdb.DuckDBPyConnection:
    """Open the warehouse or its replica read-only. Raises WarehouseError when it is absent, taken or foreign."""
    if not path.is_file():
        raise WarehouseError(
            f"{path} is not there yet: expected the replica, published a few seconds after the first event has "
            "landed. Start `holdtime up`, or name the right file in HOLDTIME_REPLICA"
        )
    with _explained(path):
        db = duckdb.connect(path, read_only=True, config={"memory_limit": memory_limit})
    found = _schema_version(db, path)
    if found < SCHEMA_VERSION:
        db.close()
        raise WarehouseError(
            f"{path} has schema version {found}, this holdtime expects {SCHEMA_VERSION}: start this version's "
            "`holdtime up`, which brings the warehouse up to date and publishes a new replica"
        )
    _harden(db)
    return db


def open_in_memory(**config: str | bool | int | float | list[str]) -> duckdb.DuckDBPyConnection:
    """Open an empty database in memory. Raises OSError where no descriptor is left for that."""
    descriptors.require()
    return duckdb.connect(config=config)


def create_tables(db: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of `schema.sql` in an empty database."""
    db.begin()
    db.execute(_SCHEMA)
    db.execute("insert into warehouse values (?, null, null)", [SCHEMA_VERSION])
    db.commit()


def _connected(path: Path, *, memory_limit: str, bulk: bool) -> duckdb.DuckDBPyConnection:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _explained(path):
        db = duckdb.connect(config={"memory_limit": memory_limit})
        db.execute(
            f"attach {_quoted(path)} as warehouse_file "
            f"(storage_version '{STORAGE_VERSION}', row_group_size {ROW_GROUP_SIZE})"
        )
        db.execute("use warehouse_file")
        # We checkpoint between batches, at a time of our choosing (see `replica`), and after this much at the latest.
        db.execute("set wal_autocheckpoint = '256MB'")
        db.execute("set preserve_insertion_order = false")
        db.execute("set enable_progress_bar = false")  # drawn on standard output where DuckDB takes us for a notebook
        if not bulk:
            # A batch is too small to share: two threads would take a third more processor time, and no less time.
            db.execute("set threads = 1")
            # Each row group is compressed as soon as it is full: to hold several first takes memory, and time for that.
            db.execute("set write_buffer_row_group_count = 1")
            # Landing names the larger side of a join first, and joins in the order that it wants; left to guess, DuckDB
            # takes the batch for the smaller. The others make statements slower to plan, and none over a batch faster.
            db.execute(f"set disabled_optimizers = '{UNHELPFUL}'")
        db.execute(f"set temp_directory = {_quoted(path.with_suffix('.tmp'))}")
    return db


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        descriptors.require()
    except OSError as error:
        raise WarehouseError(f"{path} cannot be opened: {error.strerror}; raise the limit (ulimit -n)") from None
    try:
        yield
    except duckdb.ConnectionException as error:
        raise WarehouseError(f"{path} is open in this very process with other settings: {_first(error)}") from None
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise LockedError(
                f"{path} is locked by the process that writes it, and DuckDB lets nobody else in: "
                "read the replica instead (HOLDTIME_REPLICA), or stop the other holdtime first"
            ) from None
        raise WarehouseError(f"{path} cannot be opened: expected a DuckDB file, or none yet; {_first(error)}") from None
    except duckdb.Error as error:
        raise WarehouseError(f"{path} cannot be opened as a warehouse: {_first(error)}") from None


def _harden(db: duckdb.DuckDBPyConnection) -> None:
    for setting in HARDENING:
        db.execute(f"set {setting}")


def _schema_version(db: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The version of the warehouse in `path`; closes what is none, or a later one, with an error."""
    if "warehouse" not in tables.names(db):
        db.close()
        raise WarehouseError(f"{path} is not a holdtime warehouse: expected its tables in that DuckDB file")
    found: int = value(db, "select schema_version from warehouse")
    if found > SCHEMA_VERSION:
        db.close()
        raise WarehouseError(
            f"{path} has schema version {found}, this holdtime expects {SCHEMA_VERSION}: use the holdtime that made it"
        )
    return found


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
