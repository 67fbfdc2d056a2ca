"""The event log in one SQLite file, for one machine: WAL, synchronous=FULL, and one fsync for many records."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.batch import NOTHING, ROWS_A_CHUNK, Batch, Positions, packed, records
from ingest.log import LogUnavailableError, Record
from ingest.sqlite_file import WriterLock, last_position, make_folder, open_reader, open_writer
from ingest.sqlite_writer import Bounds, Writer

PARTITION = 0
"""The only partition of a SQLite log."""

_READ = """
select last_position, records, origin, verified, rejection, received_us, sizes, bodies
from groups
where last_position > ?
order by last_position
"""
_FIRST = "select min(last_position) from groups where last_position > ?"
_FORGET = "delete from groups where last_position between ? and ? and newest_us < ? returning records"

_BATCH_BYTES = 64 << 20
_FORGET_RECORDS = 1_000


class SqliteLog:
    """An Appender and a Reader over one file.

    To write, `await start()` on the event loop that will append, and `await close()` at the end. One process writes a
    file at a time. To read, from any thread of any process, neither is needed; `close()` then frees the file.
    """

    FIRST_OFFSET = 1

    def __init__(
        self,
        path: Path,
        *,
        bounds: Bounds | None = None,
        batch_bytes: int = _BATCH_BYTES,
        on_commit: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Name the file; nothing is opened yet.

        `batch_bytes` bounds the bodies of one read. `on_commit` is told how many records each commit made durable.
        """
        self._path = path
        self._bounds = bounds or Bounds()
        self._batch_bytes = batch_bytes
        self._on_commit = on_commit
        self._lock: WriterLock | None = None
        self._writer: Writer | None = None
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()

    async def start(self) -> None:
        """Open the file for writing and make it, with its folders, if it is not there; raise UnusableLogError, OSError.

        It belongs to its owner only (mode 0600): bodies are personal data.
        """
        make_folder(self._path.parent)
        lock = WriterLock(self._path)
        try:
            self._writer = Writer(open_writer(self._path), self._bounds, self._on_commit)
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    async def close(self) -> None:
        """Make durable what waits, then close the file."""
        if self._writer is not None:
            await self._writer.close()
        if self._lock is not None:
            self._lock.release()
        self._writer = self._lock = None
        with self._reading:
            self._close_reader()

    @property
    def unavailable(self) -> str | None:
        """Why the log cannot take records now, or None."""
        return self._writer.unavailable if self._writer is not None else None

    async def append(self, record: Record) -> None:
        """Return once the record is durable; raise LogUnavailableError."""
        if self._writer is None:
            raise LogUnavailableError(f"{self._path} is not open for writing")
        await self._writer.append(record)

    async def continue_after(self, position: int) -> None:
        """Give positions after `position` from now on: for a new log beside a warehouse that remembers an older one."""
        if self._writer is None:
            raise LogUnavailableError(f"{self._path} is not open for writing")
        await asyncio.to_thread(self._writer.run, partial(_skip_to, position))

    def read(self, after: Positions, limit: int) -> Batch:
        """Return up to `limit` records that follow `after`, fewer where their bodies are large, at least one if any."""
        last = after.get(PARTITION, 0)
        groups: list[tuple[Any, ...]] = []
        size = count = skipped = 0
        with self._reading:
            try:
                cursor = self._open_reader().execute(_READ, (last,))
                for group in cursor:
                    size += len(group[-1])
                    if groups and size > self._batch_bytes:
                        break
                    if not groups:  # the only one of which a part may be known
                        skipped = max(0, last - (group[0] - group[1]))
                    groups.append(group)
                    count += group[1]
                    if count - skipped >= limit:
                        break
                cursor.close()  # ends the read transaction: an open one would keep the WAL from being reused
            except sqlite3.Error as error:
                self._close_reader()
                raise LogUnavailableError(f"{self._path} could not be read: {error}") from error
        if not groups:
            return NOTHING
        return Batch.joined(list(_chunks(groups))).part(skipped, skipped + limit)

    def end(self) -> Positions:
        """Return the last position that was given, also when its record is forgotten by now; none in a new log."""
        with self._reading:
            try:
                last = last_position(self._open_reader())
            except sqlite3.Error as error:
                self._close_reader()
                raise LogUnavailableError(f"{self._path} could not be read: {error}") from error
        return {PARTITION: last} if last else {}

    def forget(self, landed: Positions, before_us: int) -> int:
        """Drop records at or before `landed` that were received before `before_us`; return how many.

        Called in the writing process, in another thread than the event loop's. It goes in small steps, between two
        commits, so that ingest does not wait for long; the file does not shrink, its space is used again. It goes by
        position and stops where a whole step had nothing old enough, so a clock that jumped can delay a few records.
        """
        writer = self._writer
        if writer is None:
            raise LogUnavailableError(f"{self._path} is not open for writing: only its writer can forget")
        last = landed.get(PARTITION, 0)
        forgotten = after = 0
        while True:
            first = writer.run(partial(_first_after, after))
            if first is None or first > last:
                return forgotten
            after = min(first + _FORGET_RECORDS - 1, last)
            dropped = writer.run(partial(_forget_span, first, after, before_us))
            if dropped == 0:
                return forgotten
            forgotten += dropped

    def _open_reader(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = open_reader(self._path)
        return self._reader

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _skip_to(position: int, connection: sqlite3.Connection) -> None:
    connection.execute("delete from sqlite_sequence where name = 'groups'")
    connection.execute("insert into sqlite_sequence (name, seq) values ('groups', ?)", (position,))


def _first_after(position: int, connection: sqlite3.Connection) -> int | None:
    first: int | None = connection.execute(_FIRST, (position,)).fetchone()[0]
    return first


def _forget_span(first: int, last: int, before_us: int, connection: sqlite3.Connection) -> int:
    return sum(records for (records,) in connection.execute(_FORGET, (first, last, before_us)))


def _chunks(groups: list[tuple[Any, ...]]) -> Iterator[pa.RecordBatch]:
    """The records of the groups in chunks that are worth handing out, each of one kind."""
    for kind, alike in groupby(groups, key=lambda group: group[2:5]):
        gathered: list[tuple[Any, ...]] = []
        count = 0
        for group in alike:
            gathered.append(group)
            count += group[1]
            if count >= ROWS_A_CHUNK:
                yield _chunk(kind, gathered, count)
                gathered, count = [], 0
        if gathered:
            yield _chunk(kind, gathered, count)


def _chunk(kind: tuple[str, int, str | None], groups: list[tuple[Any, ...]], count: int) -> pa.RecordBatch:
    origin, verified, rejection = kind
    ends, counts, _, _, _, received_us, sizes, bodies = zip(*groups, strict=True)
    offsets = [position for end, many in zip(ends, counts, strict=True) for position in range(end - many + 1, end + 1)]
    return records(
        [
            pa.repeat(pa.scalar(PARTITION, pa.int32()), count),
            pa.array(offsets, pa.int64()),
            pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(b"".join(received_us))]),
            pa.repeat(pa.scalar(origin, pa.string()), count),
            pa.repeat(pa.scalar(bool(verified)), count),
            pa.repeat(pa.scalar(rejection, pa.string()), count),
            packed(b"".join(sizes), b"".join(bodies)),
        ]
    )
