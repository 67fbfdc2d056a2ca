"""The records that were read from Kafka and have not landed, between the thread that reads and the one that lands."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from eventlog.batch import (
    ROWS_A_CHUNK,
    Batch,
    Positions,
)
from eventlog.kafka.runs import RecordRun, chunk

BUFFER_BYTES = 96 << 20
"""How many bytes of bodies are read ahead, besides the batch that lands."""

_FILL_S = 0.25
"""How long a batch is filled while Kafka has more. More would delay the first batch; later batches fill at once."""


@dataclass(slots=True)
class Buffer:
    """Records in the order in which they were read, and the offsets around them.

    `next_taken` is the offset that `take` gives next, by partition; `held_bytes` the size of the bodies. `make_room` is
    called, in the thread that takes, once there is room again. `failure` is why no more records will come.
    """

    make_room: Callable[[], None]
    next_taken: Positions = field(default_factory=dict)
    failure: str | None = None
    is_behind: bool = False
    held_bytes: int = 0
    _chunks: deque[pa.RecordBatch] = field(default_factory=deque)
    _loose: list[RecordRun] = field(default_factory=list)
    _loose_records: int = 0
    _records: int = 0
    _fault: Exception | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def is_positioned_after(self, after: Positions) -> bool:
        """Say whether `take` gives the records that follow `after`."""
        with self._changed:
            return self.next_taken == {number: after.get(number, -1) + 1 for number in self.next_taken}

    def has_reached(self, ends: Positions) -> bool:
        """Say whether every record before `ends` has been taken."""
        with self._changed:
            return all(self.next_taken[number] >= following for number, following in ends.items())

    def has_room(self) -> bool:
        """Say whether more records may be kept."""
        return self.held_bytes < BUFFER_BYTES

    def keep(self, runs: Iterable[RecordRun], *, is_behind: bool) -> None:
        """Add runs that were read; `is_behind` says that Kafka has more."""
        with self._changed:
            for run in runs:
                self._loose.append(run)
                self._loose_records += len(run)
                self._records += len(run)
                self.held_bytes += run.size
            if self._loose_records >= ROWS_A_CHUNK:
                self._make_chunk()
            self.is_behind = is_behind
            self._changed.notify_all()

    def take(self, limit: int, *, wait_s: float) -> Batch:
        """Return up to `limit` records, waiting up to `wait_s` for the first.

        While Kafka is known to have more, wait a short while longer for a batch that is worth landing. Raises the fault
        that `fail` was given: a new session would not help.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._records or self.failure, wait_s)
            if self._records:
                self._changed.wait_for(lambda: self._is_enough(limit), _FILL_S)
            if self._fault is not None:
                raise self._fault
            self._make_chunk()
            taken = Batch.joined(self._take_chunks(limit))
            self._records -= len(taken)
            self.next_taken |= {number: offset + 1 for number, offset in taken.reached().items()}
            has_room = self.has_room()
        if len(taken) and has_room:
            self.make_room()
        return taken

    def restart(self, following: Positions) -> None:
        """Forget the records that were read: those offsets come next."""
        with self._changed:
            self._chunks.clear()
            self._loose.clear()
            self._loose_records = self._records = self.held_bytes = 0
            self.next_taken = dict(following)

    def fail(self, reason: str, fault: Exception | None = None) -> None:
        """End every wait for records, which will not come; from now on `take` raises the fault, if there is one."""
        with self._changed:
            self._fault = fault or self._fault
            self.failure = reason
            self._changed.notify_all()

    def _is_enough(self, limit: int) -> bool:
        full = self._records >= limit or not self.has_room()
        return full or not self.is_behind or self.failure is not None

    def _take_chunks(self, limit: int) -> Sequence[pa.RecordBatch]:
        first, room = [], limit
        while self._chunks and room:
            chunk = self._chunks.popleft()
            if chunk.num_rows > room:
                self._chunks.appendleft(chunk.slice(room))
                chunk = chunk.slice(0, room)
            first.append(chunk)
            room -= chunk.num_rows
            self.held_bytes -= pc.sum(pc.binary_length(chunk.column("body"))).as_py()
        return first

    def _make_chunk(self) -> None:
        """Make one chunk: columns take less memory, and small chunks cost as much time as large ones."""
        if self._loose_records:
            self._chunks.append(chunk(self._loose))
            self._loose.clear()
            self._loose_records = 0
