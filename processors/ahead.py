"""Reading ahead: while one batch lands, the next one is read and brought into columns."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import pyarrow as pa

from ingest.log import Batch, Positions, Reader
from processors.delivered import as_arrow

WORTH_IT = 10_000
"""A batch of fewer records was all there was: the next one has still to come."""


@dataclass(frozen=True, slots=True)
class Read:
    """A batch, and the same as a table."""

    batch: Batch
    table: pa.Table


@dataclass(slots=True)
class ReadAhead:
    """Reads batches of up to `limit` records, one after the other, as a context. Used by one thread."""

    reader: Reader
    limit: int
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "read-ahead"))
    _next: tuple[Positions, Future[Read]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def read(self, after: Positions) -> Read:
        """The records that follow `after`, possibly none; raises what the reader raises."""
        ahead, self._next = self._next, None
        # The first of many is a small one, so that the next is read while it lands.
        read = ahead[1].result() if ahead is not None and ahead[0] == after else self._read(after, WORTH_IT)
        if ahead is not None and not len(read.batch):
            read = self._read(after, WORTH_IT)  # there was nothing then; there may be now
        if len(read.batch) >= WORTH_IT:
            reached = {**after, **dict(zip(read.batch.partitions, read.batch.offsets, strict=True))}
            self._next = (reached, self._thread.submit(self._read, reached, self.limit))
        return read

    def _read(self, after: Positions, limit: int) -> Read:
        batch = self.reader.read(after, min(limit, self.limit))
        return Read(batch, as_arrow(batch))
