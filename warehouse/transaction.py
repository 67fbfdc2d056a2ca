"""A transaction as a context: all of it is committed, or none."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


@contextmanager
def transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit at the end; roll back, and raise, where anything was raised."""
    db.begin()
    try:
        yield
    except duckdb.FatalException:
        raise  # nothing can be rolled back: the file is as it was, and this process must reopen it
    except BaseException:
        db.rollback()
        raise
    db.commit()
