"""A scratch database beside a warehouse: to work out what the warehouse does not hold, and to throw away."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from warehouse.connection import attach, in_memory
from warehouse.database import HARDENING, open_reader

SOURCE = "source"
"""The catalog under which a scratch database sees the warehouse, read-only."""

SCRATCH = "scratch"
"""The catalog of the scratch database itself."""


@contextmanager
def opened_scratch(source: Path, *, memory_limit: str = "1GB") -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to a new database on disk, in a folder of its own that is removed afterwards.

    What does not fit in memory goes to that folder, too; TMPDIR says where such folders are. Raises WarehouseError when
    the warehouse or replica at `source` cannot be read.
    """
    open_reader(source).close()  # says what is wrong with it, if anything is
    with tempfile.TemporaryDirectory(prefix="holdtime-") as folder:
        spilled = str(Path(folder, "spilled"))
        db = in_memory(memory_limit=memory_limit, temp_directory=spilled)
        try:
            attach(db, source, SOURCE, "read_only", must_exist=True)
            attach(db, Path(folder, "scratch.duckdb"), SCRATCH)
            db.execute(f"use {SCRATCH}")
            for setting in ("preserve_insertion_order = false", *HARDENING):
                db.execute(f"set {setting}")
            yield db
        finally:
            db.close()
