"""Opening the warehouse file: for its one writer, or for readers."""

from pathlib import Path

import duckdb

from warehouse import damage, migrations, tables
from warehouse.catalog import describe
from warehouse.connection import attach, in_memory, name_fault, quoted, require_duckdb
from warehouse.errors import OutdatedError, WarehouseError, explained
from warehouse.query import value
from warehouse.scripts import SCHEMA
from warehouse.wal import foreign

SCHEMA_VERSION = 4

STORAGE_VERSION = "v1.2.0"
"""The oldest file format that has zstd; every DuckDB client from 1.2 on opens it."""

ROW_GROUP_SIZE = 24_576
"""A fifth of DuckDB's own: a batch fills groups sooner, so it is compressed once; time bounds cut finer."""

LANDING_MEMORY = "1GB"
"""What landing may use, twice what it does. The nearer DuckDB is to its limit, the more often it gives all free memory
back to the system, only to ask for it again: half of this took a fifth longer.
"""

READING_MEMORY = "1GB"
"""What a report may use."""

CATALOG = "warehouse_file"
"""The name under which the file is attached, for its writer and for readers."""

DISABLED_OPTIMIZERS = (
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


def open_writer(path: Path, *, memory_limit: str = LANDING_MEMORY, bulk: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the warehouse for writing, creating it and its tables when new, and making its views anew.

    An older schema is brought up to date first, where SQL alone can do that; `bulk` is for a few statements over much,
    from two threads at a time.
    Raises OutdatedError where it cannot, LockedError when another process has the file, DamagedError, UnavailableError
    when the disk cannot serve now, and WarehouseError when it is not a warehouse, or a later holdtime's.
    """
    with explained(path):
        return _open_writer(path, memory_limit=memory_limit, bulk=bulk)


def _open_writer(path: Path, *, memory_limit: str, bulk: bool) -> duckdb.DuckDBPyConnection:
    db = _connected(path, memory_limit=memory_limit, bulk=bulk)
    try:
        _make_ready(db, path, bulk=bulk)
    except BaseException:
        db.close()
        raise
    return db


def _make_ready(db: duckdb.DuckDBPyConnection, path: Path, *, bulk: bool) -> None:
    if not tables.names(db):
        create_tables(db)
    found = _schema_version(db, path)
    if found < SCHEMA_VERSION:
        steps = migrations.statements(found, SCHEMA_VERSION)
        if steps is None:
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


def open_successor(new: Path, *, old: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Open the new warehouse for writing, made if it is not there, with an older one beside it, as `old`, to read.

    Everything that the old one's write-ahead log held is in its file then. Raises WarehouseError as `open_writer`.
    """
    with explained(old), in_memory() as db:
        attach(db, old, "old", must_exist=True)
        db.execute("checkpoint old")
    db = _connected(new, memory_limit=memory_limit, bulk=True)
    try:
        attach(db, old, "old", "read_only", must_exist=True)
        if not tables.names(db):
            create_tables(db)
        describe(db)
        new.chmod(0o600)
        _harden(db)
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: Path, *, memory_limit: str = READING_MEMORY) -> duckdb.DuckDBPyConnection:
    """Open the warehouse or its replica read-only, as a database of its own (`warehouse.readers` shares them).

    It is attached, not connected to: DuckDB takes two connections of a process to one path for one database, which has
    the settings of the first, and is the first one's file even where another has taken its place.
    Raises WarehouseError when it is absent, taken or foreign.
    """
    require_file(path)
    with explained(path):
        _require_no_foreign_wal(path)
    db = in_memory(memory_limit=memory_limit, temp_directory=f"{path}.tmp")
    try:
        attach(db, path, CATALOG, "read_only", must_exist=True)
        with explained(path):
            db.execute(f"use {CATALOG}")
            found = _schema_version(db, path)
            _harden(db)
    except BaseException:
        db.close()
        raise
    if found < SCHEMA_VERSION:
        db.close()
        raise WarehouseError(
            f"{path} has schema version {found}, this holdtime expects {SCHEMA_VERSION}: start this version's "
            "`holdtime up`, which brings the warehouse up to date and publishes a new replica"
        )
    return db


def _require_no_foreign_wal(path: Path) -> None:
    """Raise WarehouseError where a file that nobody may write has a write-ahead log all the same."""
    if (log := foreign(path)) is not None:
        raise WarehouseError(
            f"{log} is no part of {path}, which nobody may write: another program opened the replica for writing, and "
            "figures would be wrong. `holdtime up` removes it within seconds; where that is stopped, remove it yourself"
        )


def require_file(path: Path) -> None:
    """Raise WarehouseError where there is no file to read. Raises OSError where that cannot be said."""
    if (fault := name_fault(str(path))) is not None:
        raise WarehouseError(fault)
    if not path.is_file():
        raise WarehouseError(
            f"{path} is not there yet: expected the replica, published a few seconds after the first event has "
            "landed. Start `holdtime up`, or name the right file in HOLDTIME_REPLICA"
        )


def create_tables(db: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of `schema/` in an empty database."""
    db.begin()
    db.execute(SCHEMA)
    db.execute("insert into warehouse values (?, null, null, null)", [SCHEMA_VERSION])
    db.commit()


def _connected(path: Path, *, memory_limit: str, bulk: bool) -> duckdb.DuckDBPyConnection:
    require_duckdb(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        damage.finish(path)
        db = in_memory(memory_limit=memory_limit)
    try:
        with explained(path):
            _attach(db, path, bulk=bulk)
    except BaseException:
        db.close()  # what holds the file keeps this very process from opening it again
        raise
    return db


def _attach(db: duckdb.DuckDBPyConnection, path: Path, *, bulk: bool) -> None:
    attach(db, path, CATALOG, f"storage_version '{STORAGE_VERSION}'", f"row_group_size {ROW_GROUP_SIZE}")
    db.execute(f"use {CATALOG}")
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
        db.execute(f"set disabled_optimizers = '{DISABLED_OPTIMIZERS}'")
    db.execute(f"set temp_directory = {quoted(path.with_suffix('.tmp'))}")


def _harden(db: duckdb.DuckDBPyConnection) -> None:
    for setting in HARDENING:
        db.execute(f"set {setting}")


def _schema_version(db: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The version of the warehouse in `path`. Raises WarehouseError for a file that is none, or a later version's."""
    if "warehouse" not in tables.names(db):
        raise WarehouseError(f"{path} is not a holdtime warehouse: expected its tables in that DuckDB file")
    found: int = value(db, "select schema_version from warehouse")
    if found > SCHEMA_VERSION:
        raise WarehouseError(
            f"{path} has schema version {found}, this holdtime expects {SCHEMA_VERSION}: use the holdtime that made it"
        )
    return found
