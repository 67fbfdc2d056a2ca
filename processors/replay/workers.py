"""Lanes: connections to one database that each work in a thread of their own, so that none waits for another."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import duckdb

from warehouse.query import value

INTERRUPTED_EVERY = 0.05
"""Seconds. An interruption ends one statement, and none where it comes between two."""


class Lane:
    """A connection beside another one, to the same database, and a thread that does one thing after the other in it.

    Temporary tables, views and macros are its own. What it had not committed when it is closed never was.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        """Open it; `db` may go on with something else."""
        self.db = db.cursor()
        self.db.execute(f'use "{value(db, "select current_database()")}"')  # a new connection is in none
        self._thread = ThreadPoolExecutor(1)
        self._latest: deque[Future[Any]] = deque(maxlen=2)

    def after(self, before: Future[Any], work: Callable[..., None], *arguments: Any) -> Future[None]:
        """Do `work(connection, *arguments)`, no sooner than `before` is done, here or in another lane.

        Two things may be under way in a lane at a time, and no more. Where `before` failed, this fails as it did.
        """

        def do() -> None:
            before.result()
            work(self.db, *arguments)

        doing = self._thread.submit(do)
        self._latest.append(doing)
        return doing

    def close(self) -> None:
        """Stop what is under way."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        while working := [each for each in self._latest if not each.done()]:
            self.db.interrupt()
            wait(working, INTERRUPTED_EVERY)
        self.db.close()
