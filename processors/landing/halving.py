"""Halving: a batch that cannot land whole lands in parts, down to the record that cannot land."""

from collections.abc import Callable

import duckdb

from eventlog.batch import Batch
from processors.landing.landed import Landed

BAD_DATA = (duckdb.DataError, duckdb.InvalidInputException, duckdb.IntegrityError)
"""The errors of DuckDB for a value that it cannot take, as against a disk or a statement that it cannot."""


def by_halves(
    batch: Batch, land: Callable[[Batch], Landed], unlandable: Callable[[Batch, Exception], Landed]
) -> Landed:
    """Return `land(batch)`; of halves where the batch is too large or holds bad data; of one bad record, `unlandable`.

    Raises other errors of `land`, and its OutOfMemoryException for a single record.
    """
    try:
        return land(batch)
    except (*BAD_DATA, duckdb.OutOfMemoryException) as error:
        if len(batch) == 1:
            if not isinstance(error, BAD_DATA):
                raise
            return unlandable(batch, error)
    half = len(batch) // 2
    return by_halves(batch.part(0, half), land, unlandable) + by_halves(batch.part(half), land, unlandable)
