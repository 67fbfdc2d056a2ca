"""The writing side of the SQLite log: group commit on an event loop.

Records that arrive during a commit wait and share the next one, so one fsync serves many deliveries. The records of one
kind become one row, with the bodies one after the other. One INSERT writes all rows: its own transaction, one call into
SQLite, in a thread that has released the interpreter's lock until the fsync ends. A row for each record would cost more
to write, and far more to read.
"""

import asyncio
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog

from eventlog.log import (
    LogUnavailableError,
    Record,
)
from eventlog.sqlite.disk_thread import DiskThread, settle
from eventlog.sqlite.failures import is_damage, unwritable
from eventlog.sqlite.file import last_position
from eventlog.sqlite.insertion import insertion

ASK_AGAIN_S = 5.0
"""How long the log counts as unavailable after a failure: then a delivery is let in, to try again."""

T = TypeVar("T")

Salvage = Callable[[sqlite3.Connection, int, str], sqlite3.Connection]
"""Takes the damaged log's connection, the last position given and the reason; returns the connection of a sound one."""

log = structlog.get_logger("ingest")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait, and how much one commit takes. Bytes are bytes of bodies."""

    waiting_records: int = 10_000
    waiting_bytes: int = 64 << 20
    group_records: int = 128
    group_bytes: int = 8 << 20


@dataclass(slots=True)
class _Waiting:
    record: Record
    durable: asyncio.Future[None]


class Writer:
    """Owns the writing connection. Made on the event loop that appends, which never waits for the disk."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        bounds: Bounds,
        on_commit: Callable[[int], None],
        salvage: Salvage | None = None,
    ) -> None:
        """Take the connection over; `on_commit` is called, on the loop, with the number of records of each commit.

        `salvage` is called, in the disk's thread, when SQLite or a reader finds the log damaged.
        """
        self._connection = connection
        self._file: str = connection.execute("pragma database_list").fetchone()[2]
        self._identity = _identity(self._file)
        self._salvage = salvage
        self._last = last_position(connection)
        self._bounds = bounds
        self._on_commit = on_commit
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._steps: deque[tuple[Callable[[sqlite3.Connection], Any] | str, asyncio.Future[Any]]] = deque()
        self._closing = False
        self._failure: str | None = None
        self._failed_at = 0.0
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._disk = DiskThread(self._loop)
        self._task = asyncio.create_task(self._run(), name="log-writer")

    @property
    def unavailable(self) -> str | None:
        """Why the last commit failed; None after a success, or when the failure is ASK_AGAIN_S old."""
        return self._failure if self._loop.time() < self._failed_at + ASK_AGAIN_S else None

    def append(self, record: Record) -> asyncio.Future[None]:
        """Say when the record is durable, or that it cannot be: LogUnavailableError, raised at once or later.

        Cancelling leaves the rest of its group alone. The record itself may still be written: a sender that did not
        get a 200 sends again, and a duplicate costs nothing.
        """
        if self._closing or self._task.done():
            raise LogUnavailableError("the log is closed")
        size = self._waiting_bytes + len(record.body)
        if len(self._waiting) >= self._bounds.waiting_records or size > self._bounds.waiting_bytes:
            raise LogUnavailableError("too much already waits for the disk")
        durable: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(_Waiting(record, durable))
        self._waiting_bytes = size
        self._wake.set()
        return durable

    def run(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """Do `step`, which commits its own changes, between two groups; called from any thread but the loop's.

        Raises LogUnavailableError where SQLite cannot do it now.
        """
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("this waits for the event loop, so it cannot be called on it: use asyncio.to_thread")
        answer: T = asyncio.run_coroutine_threadsafe(self._queue(step), self._loop).result()
        return answer

    @property
    def last(self) -> int:
        """The last position that a durable record has. May be asked from any thread."""
        return self._last

    def salvage(self, reason: str) -> None:
        """Have the log salvaged, between two groups; called from any thread but the loop's.

        Raise LogUnavailableError when that cannot be done now.
        """
        asyncio.run_coroutine_threadsafe(self._queue(reason), self._loop).result()

    async def close(self) -> None:
        """Make the waiting records durable, then close the connection. Appends from now on are refused."""
        self._closing = True
        self._wake.set()
        await self._task
        await self._disk.run(self._connection.close)  # it checkpoints, which takes the disk
        self._disk.stop()

    async def _queue(self, step: Callable[[sqlite3.Connection], Any] | str) -> Any:
        """Have a step taken, or the log salvaged for a reason; return the step's answer."""
        if self._closing:
            raise LogUnavailableError("the log is closing")
        done: asyncio.Future[Any] = self._loop.create_future()
        self._steps.append((step, done))
        self._wake.set()
        return await done

    async def _run(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting or self._steps:
                await self._write_group()
                if self._steps:
                    await self._take_step()

    async def _write_group(self) -> None:
        group = self._next_group()
        if not group:
            return
        try:
            await self._insert(group)
        except Exception as error:  # noqa: BLE001 - raised to every append of the group, which SQLite has rolled back
            self._note_failure(str(unwritable(error, self._file)))
            for waiting in group:
                if not waiting.durable.done():
                    waiting.durable.set_exception(unwritable(error, self._file))
            return
        if self._failure is not None:
            self._failure = None
            log.info("log_available")
        self._last += len(group)
        for waiting in group:
            if not waiting.durable.done():
                waiting.durable.set_result(None)
        self._on_commit(len(group))

    async def _insert(self, group: list[_Waiting]) -> None:
        if _identity(self._file) != self._identity:
            raise OSError("somebody removed or replaced it: put it back, or start again")
        try:
            await self._disk.run(self._insertion(group))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            await self._salvage_log(f"SQLite says: {error}")
            await self._disk.run(self._insertion(group))

    def _insertion(self, group: list[_Waiting]) -> Callable[[], sqlite3.Cursor]:
        # Put together here, on the loop: the disk's thread would have the loop wait for the interpreter's lock.
        statement, values = insertion([waiting.record for waiting in group], after=self._last)
        return partial(self._connection.execute, statement, values)

    async def _salvage_log(self, reason: str) -> None:
        if self._salvage is None:
            raise LogUnavailableError(f"the log is damaged: {reason}")
        self._connection = await self._disk.run(partial(self._salvage, self._connection, self._last, reason))
        self._identity = _identity(self._file)
        self._last = max(self._last, await self._disk.run(partial(last_position, self._connection)))

    def _note_failure(self, reason: str) -> None:
        if self._failure is None:
            log.error("log_unavailable", reason=reason)
        self._failure, self._failed_at = reason, self._loop.time()

    def _next_group(self) -> list[_Waiting]:
        """Take the oldest records that wait, up to the bounds and at least one; cancelled ones are dropped."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < self._bounds.group_records and size < self._bounds.group_bytes:
            waiting = self._waiting.popleft()
            self._waiting_bytes -= len(waiting.record.body)
            if not waiting.durable.done():
                group.append(waiting)
                size += len(waiting.record.body)
        return group

    async def _take_step(self) -> None:
        step, done = self._steps.popleft()
        try:
            if isinstance(step, str):
                answer = None
                await self._salvage_log(step)
            else:
                answer = await self._disk.run(partial(step, self._connection))
                self._last = max(self._last, await self._disk.run(partial(last_position, self._connection)))
        except Exception as error:  # noqa: BLE001 - raised where the step was asked for
            settle(done, None, unwritable(error, self._file))
        else:
            settle(done, answer, None)


def _identity(file: str) -> tuple[int, int] | None:
    """Return which file the path names now: SQLite would go on writing to one that somebody removed."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino
