"""The prefetcher: while one batch lands, the next one is read from the log and prepared."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from eventlog.batch import Batch, Positions
from eventlog.log import LogReader
from processors.landing.prepared import Prepared

MIN_PREFETCH = 10_000
"""A batch of fewer records was the end of the log: the next one has still to come."""


@dataclass(slots=True)
class Prefetcher:
    """Reads batches of up to `limit` records, one after the other, as a context. Used by one thread.

    The first of a backlog, for which all else waits, has half of that. `prepare` prepares each batch that is read ahead
    of its turn, in the thread that reads it.
    """

    reader: LogReader
    limit: int
    prepare: Callable[[Batch], Prepared]
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "read-ahead"))
    _next: tuple[Positions, Future[Prepared]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def read(self, after: Positions) -> Prepared:
        """The records that follow `after`, possibly none; raises what the reader raises."""
        ahead, self._next = self._next, None
        if ahead is not None:
            wait([ahead[1]])  # also where it was in vain: two who read at a time would take records from each other
        first = max(min(MIN_PREFETCH, self.limit), self.limit // 2)
        prepared = ahead[1].result() if ahead is not None and ahead[0] == after else None
        if prepared is None or not len(prepared.batch):
            prepared = Prepared(self.reader.read(after, first))  # there may be records now where there were none
        if len(prepared.batch) >= MIN_PREFETCH:
            reached = {**after, **prepared.batch.reached()}
            self._next = (reached, self._thread.submit(self._read_ahead, reached))
        return prepared

    def _read_ahead(self, after: Positions) -> Prepared:
        batch = self.reader.read(after, self.limit)
        return self.prepare(batch) if len(batch) else Prepared(batch)
