"""Connection workers: connections to one database, each with a thread of its own, so that none waits for another."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import duckdb

from warehouse.query import value

INTERRUPTED_EVERY = 0.05
"""Seconds. An interruption ends one statement, and none where it comes between two."""


class ConnectionWorker:
    """A second connection to a database, and a thread that does one piece of work after the other on it.

    Temporary tables, views and macros are its own. Closing it drops whatever it has not committed.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        """Open the connection; `db` stays free for other work."""
        self.db = db.cursor()
        self.db.execute(f'use "{value(db, "select current_database()")}"')  # a new connection is in none
        self._thread = ThreadPoolExecutor(1)
        self._latest: deque[Future[Any]] = deque(maxlen=2)

    def after(self, before: Future[Any], work: Callable[..., None], *arguments: Any) -> Future[None]:
        """Do `work(connection, *arguments)` once `before` is done, by this worker or another.

        A worker takes two pieces of work at a time, and no more. Where `before` fails, this fails as it did.
        """

        def do() -> None:
            before.result()
            work(self.db, *arguments)

        doing = self._thread.submit(do)
        self._latest.append(doing)
        return doing

    def close(self) -> None:
        """Stop the work under way."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        while working := [each for each in self._latest if not each.done()]:
            self.db.interrupt()
            wait(working, INTERRUPTED_EVERY)
        self.db.close()
