"""Reprocessing: rejected records land after a fix, or after a wrong clock is right."""

from collections.abc import Callable, Iterator
from datetime import datetime

import duckdb

from processors.events import rejected
from processors.landing.halving import by_halves
from processors.landing.landed import Landed
from processors.landing.landing import Landing


def reprocess(
    db: duckdb.DuckDBPyConnection, landing: Landing, *, reason: str | None, clock: Callable[[], datetime]
) -> Iterator[Landed]:
    """Land the records of `rejected`, all or those of one reason, batch after batch, each in one transaction.

    A crash between two batches leaves the rest in `rejected`. A record that cannot land stays there.
    """
    for batch in rejected.batches(db, reason):
        yield by_halves(
            batch,
            lambda part: landing.reprocess(part, clock()),
            lambda part, _: Landed(len(part), events=0, duplicates=0, rejected=len(part), contradictions=0, facts={}),
        )
