"""The event log in one SQLite file, for one machine: WAL, synchronous=FULL, and one fsync for many records."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from eventlog.batch import (
    EMPTY_BATCH,
    Batch,
    Positions,
)
from eventlog.log import LogUnavailableError, Record
from eventlog.sqlite import salvage
from eventlog.sqlite.chunks import chunks
from eventlog.sqlite.failures import is_damage
from eventlog.sqlite.file import (
    DamagedLogError,
    WriterLock,
    lock_path,
    make_folder,
)
from eventlog.sqlite.forgetting import first_after, forget_between, skip_to
from eventlog.sqlite.group import PARTITION
from eventlog.sqlite.header import UnusableLogError, require_ours
from eventlog.sqlite.mark import (
    SALVAGED,
)
from eventlog.sqlite.reader import GroupReader
from eventlog.sqlite.writer import Bounds, Writer

T = TypeVar("T")

_BATCH_BYTES = 64 << 20
_FORGET_RECORDS = 1_000


class SqliteLog:
    """A Log over one file.

    To write, `await start()` on the event loop that will append, and `await close()` at the end. One process writes a
    file at a time. To read, from any thread of any process, neither is needed; `close()` then frees the file.
    """

    FIRST_OFFSET = 1
    PARTITION = PARTITION

    def __init__(
        self,
        path: Path,
        *,
        bounds: Bounds | None = None,
        batch_bytes: int = _BATCH_BYTES,
        on_commit: Callable[[int], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Name the file; nothing is opened yet.

        `batch_bytes` bounds the bodies of one read. `on_commit` gets the number of records that each commit made
        durable. `clock` dates the names of damaged files that are set aside.
        """
        self._path = path
        self._bounds = bounds or Bounds()
        self._on_commit = on_commit
        self._clock = clock
        self._lock: WriterLock | None = None
        self._writer: Writer | None = None
        self._reader = GroupReader(path, batch_bytes)
        self._salvages = 0

    async def start(self) -> None:
        """Open the file for writing and make it, with its folders, if it is not there; raise UnusableLogError, OSError.

        Only its owner can read it (mode 0600): bodies are personal data. A damaged file is set aside, and a new one
        holds all records that can still be read.
        """
        make_folder(self._path.parent)
        was_used = lock_path(self._path).exists()
        require_ours(self._path, was_used=was_used)
        lock = WriterLock(self._path)
        try:
            connection = salvage.open_or_salvage(self._path, self._clock(), was_used=was_used)
            self._writer = Writer(connection, self._bounds, self._on_commit, self._replace_damaged)
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    async def close(self) -> None:
        """Make the waiting records durable, then close the file: the last connection to close removes the WAL."""
        self._reader.close()
        if self._writer is not None:
            await self._writer.close()
        if self._lock is not None:
            self._lock.release()
        self._writer = self._lock = None
        self._reader.close()

    @property
    def unavailable(self) -> str | None:
        """Why the log cannot take records now, or None."""
        return self._writer.unavailable if self._writer is not None else None

    async def append(self, record: Record) -> None:
        """Return once the record is durable; raise LogUnavailableError."""
        if self._writer is None:
            raise LogUnavailableError(f"{self._path} is not open for writing")
        await self._writer.append(record)

    def exists(self) -> bool:
        """Say whether the file is there; never an error, also where its folder is another user's."""
        return os.path.exists(self._path)

    def owns(self, partition: int) -> bool:
        """Say whether a position of that partition is this log's."""
        return partition == PARTITION

    def resumable(self) -> "SqliteLog":
        """Return this log: it gives positions by itself."""
        return self

    def spooled(self) -> int:
        """Return 0: a log in a file has no spool."""
        return 0

    def last_received_at(self) -> datetime | None:
        """Return when the last record was received; None where there is none, or it cannot be read now."""
        try:
            last = self.read({partition: end - 1 for partition, end in self.end().items()}, 1)
        except LogUnavailableError:
            return None
        times: list[datetime] = last.table["received_at"].to_pylist()
        return times[-1] if times else None

    def confirm_writable(self, began: float) -> None:
        """Do nothing: no other process writes to a log in a file."""

    async def continue_after(self, position: int) -> None:
        """Give positions after `position` from now on: for a new log of a warehouse that was made from an older one."""
        if self._writer is None:
            raise LogUnavailableError(f"{self._path} is not open for writing")
        await asyncio.to_thread(self._writer.run, partial(skip_to, position))

    def set_aside(self) -> list[Path]:
        """Return the damaged files of this log that were set aside and are still there."""
        return salvage.set_aside(self._path)

    def may_go_on(self) -> bool:
        """Say whether the log's end is unknown, because it was damaged: it may go on after any later position."""
        return self._ask(partial(self._reader.marked, SALVAGED)) > 0

    def read(self, after: Positions, limit: int) -> Batch:
        """Return up to `limit` records that follow `after`, fewer where their bodies are large, at least one if any."""
        last = after.get(PARTITION, 0)
        while True:
            seen = self._salvages
            given = self._writer.last if self._writer is not None else 0
            try:
                groups = self._ask(partial(self._reader.groups, last, limit, given))
                break
            except DamagedLogError as damage:
                self._request_salvage(damage, seen)
        if not groups:
            return EMPTY_BATCH
        skipped = max(0, last - groups[0].first_position + 1)  # only of the first group a part may lie before `last`
        return Batch.joined(list(chunks(groups))).part(skipped, skipped + limit)

    def end(self) -> Positions:
        """Return the last position that was given, also when its record is forgotten by now; none in a new log."""
        try:
            last = self._ask(self._reader.last_position)
        except DamagedLogError as damage:
            if self._writer is None:
                raise LogUnavailableError(self._damage_text(damage)) from damage
            last = self._writer.last
        return {PARTITION: last} if last else {}

    def forget(self, landed: Positions, before_us: int) -> int:
        """Drop records at or before `landed` that were received before `before_us`; return how many.

        Called in the writing process, in another thread than the event loop's. It takes small steps between two
        commits, so that ingest does not wait for long. The file does not shrink: its space is used again. Records are
        dropped in the order of positions, up to the first step without an old one, so a clock that jumped may delay a
        few.
        """
        writer = self._writer
        if writer is None:
            raise LogUnavailableError(f"{self._path} is not open for writing: only its writer can forget")
        last = landed.get(PARTITION, 0)
        forgotten = after = 0
        while True:
            seen = self._salvages
            try:
                first = writer.run(partial(first_after, after))
                if first is None or first > last:
                    return forgotten
                after = min(first + _FORGET_RECORDS - 1, last)
                dropped = writer.run(partial(forget_between, first, after, before_us))
            except LogUnavailableError as error:
                if not is_damage(error.__cause__):
                    raise
                self._request_salvage(error, seen)
                continue
            if dropped == 0:
                return forgotten
            forgotten += dropped

    def _ask(self, question: Callable[[], T]) -> T:
        """Return the reader's answer. Raises LogUnavailableError, DamagedLogError."""
        try:
            return question()
        except UnusableLogError as error:
            if self._writer is None:
                raise
            raise DamagedLogError(str(error)) from error  # it was ours when the writer opened it

    def _request_salvage(self, damage: Exception, seen: int) -> None:
        """Have the writer salvage the log, unless it was salvaged since `seen` was counted."""
        if self._writer is None:
            raise LogUnavailableError(self._damage_text(damage)) from damage
        if seen == self._salvages:
            self._writer.salvage(str(damage))

    def _damage_text(self, damage: Exception) -> str:
        return f"{self._path} is damaged: {damage}; `holdtime up` sets it aside and goes on with what can be read of it"

    def _replace_damaged(self, connection: sqlite3.Connection, last: int, reason: str) -> sqlite3.Connection:
        """Set the log aside and return the connection of a new one. Runs in the writer's thread."""
        with self._reader.closed():
            salvaged = salvage.salvage(self._path, self._clock(), reason=reason, connection=connection, last=last)
            self._salvages += 1
            return salvaged
