"""Reading ahead: while one batch lands, the next one is read."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from eventlog.batch import Batch, Positions
from eventlog.log import LogReader

WORTH_IT = 10_000
"""A batch of fewer records was all there was: the next one has still to come."""


@dataclass(slots=True)
class ReadAhead:
    """Reads batches of up to `limit` records, one after the other, as a context. Used by one thread.

    The first of a backlog, for which all else waits, has half of that. `prepare` is given each batch that was read
    ahead of its turn, in the thread that read it.
    """

    reader: LogReader
    limit: int
    prepare: Callable[[Batch], None]
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "read-ahead"))
    _next: tuple[Positions, Future[Batch]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def read(self, after: Positions) -> Batch:
        """The records that follow `after`, possibly none; raises what the reader raises."""
        ahead, self._next = self._next, None
        if ahead is not None:
            wait([ahead[1]])  # also where it was in vain: two who read at a time would take records from each other
        first = max(min(WORTH_IT, self.limit), self.limit // 2)
        read = ahead[1].result() if ahead is not None and ahead[0] == after else self.reader.read(after, first)
        if ahead is not None and not len(read):
            read = self.reader.read(after, first)  # there was nothing then; there may be now
        if len(read) >= WORTH_IT:
            reached = {**after, **read.reached()}
            self._next = (reached, self._thread.submit(self._read_ahead, reached))
        return read

    def _read_ahead(self, after: Positions) -> Batch:
        batch = self.reader.read(after, self.limit)
        if len(batch):
            self.prepare(batch)
        return batch
