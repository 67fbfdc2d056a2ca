"""The processor in its thread, between a real log and a real warehouse."""

import asyncio
import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from prometheus_client import CollectorRegistry

from eventlog.batch import Batch, Positions
from eventlog.log import (
    LogReader,
    LogUnavailableError,
    Record,
)
from eventlog.sqlite.log import SqliteLog
from processors.app import Processor
from processors.landing.landed import Landed
from processors.landing.landing import Landing
from processors.landing.prepared import Prepared
from processors.metrics import ProcessorMetrics
from processors.publishing import ReplicaPublisher
from tests.support.builders import (
    LATER,
    NOON,
    a_call,
    bodies,
    microseconds,
)
from tests.support.waiting import PATIENCE_S, until_async
from warehouse import replica
from warehouse.database import open_reader, open_writer
from warehouse.query import value
from warehouse.replica import DamagedCopyError


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now: datetime = LATER

    def __call__(self) -> datetime:
        """What it shows."""
        return self.now


@dataclass
class Center:
    """A folder with a log and a warehouse, and the clock on its wall."""

    folder: Path
    log: SqliteLog
    db: duckdb.DuckDBPyConnection
    clock: Clock = field(default_factory=Clock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    @property
    def replica(self) -> Path:
        return self.folder / "replica.duckdb"

    def processor(
        self,
        *,
        reader: LogReader | None = None,
        landing: Landing | None = None,
        publisher: ReplicaPublisher | None = None,
        publish_every: timedelta = timedelta(0),
        keep_landed: timedelta = timedelta(days=7),
    ) -> Processor:
        return Processor(
            reader=reader or self.log,
            landing=landing or Landing(self.db),
            publisher=publisher or replica.Publisher(self.db, self.folder / "warehouse.duckdb", self.replica),
            metrics=ProcessorMetrics(self.registry),
            publish_every=publish_every,
            keep_landed=keep_landed,
            clock=self.clock,
        )

    async def append(self, *said: bytes, received: datetime = NOON) -> None:
        for body in said:
            await self.log.append(Record(body, microseconds(received)))

    def published(self, statement: str) -> object:
        """What somebody reads in the replica."""
        db = open_reader(self.replica)
        try:
            return value(db, statement)
        finally:
            db.close()


@asynccontextmanager
async def a_center(folder: Path) -> AsyncIterator[Center]:
    log = SqliteLog(folder / "log.sqlite")
    await log.start()
    db = open_writer(folder / "warehouse.duckdb")
    try:
        yield Center(folder, log, db)
    finally:
        db.close()
        await log.close()


@asynccontextmanager
async def running(processor: Processor) -> AsyncIterator[asyncio.Task[None]]:
    """The processor at work in a thread; told to stop, and waited for, at the end."""
    stop = threading.Event()
    task = asyncio.create_task(asyncio.to_thread(processor.run, stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait([task])
    await task


@dataclass
class Quick:
    """Puts out nothing but what `do` does."""

    do: Callable[[], None]

    def copy(self) -> None:
        """As landing stands still."""
        self.do()

    def put_out(self) -> None:
        """There is nothing to check."""

    def blame(self, error: DamagedCopyError) -> None:
        """The copy's disk is."""

    def make_last(self) -> None:
        """There is nothing to keep."""

    def spoiled(self) -> str | None:
        """There is nothing to spoil."""


async def all_landed(center: Center, processor: Processor) -> None:
    """Wait until the processor has landed all that its log holds."""
    await until_async(lambda: processor.progress.landed == center.log.end(), lambda: processor.progress)


def call_bodies() -> list[bytes]:
    return bodies(a_call().queued(at=NOON).answered(after=41).talked(300))


def test_what_the_log_says_lands_and_is_published(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            processor = center.processor()
            async with running(processor):
                await until_async(lambda: processor.progress.replica_at, lambda: processor.progress)
                assert center.published("select count(*) from events") == 0, "an empty replica comes first"
                first, *rest = call_bodies()
                for part in ([first], [*rest, b"not an event"]):
                    await center.append(*part)
                    await all_landed(center, processor)

                def was_answered() -> bool:
                    # How long a copy took decides when the next is due: never, on a clock that stands.
                    center.clock.now += timedelta(seconds=1)
                    return center.published("select outcome from queue_visits") == "answered"

                assert processor.progress.last_landed_at == LATER
                await until_async(was_answered, lambda: center.published("select count(*) from events"))
            counted = [
                center.registry.get_sample_value("holdtime_records_landed_total", {"outcome": outcome})
                for outcome in ("event", "duplicate", "rejected")
            ]
            assert counted == [4, 0, 1]

    asyncio.run(scenario())


def test_a_stop_lands_what_the_log_still_holds_and_publishes_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            await center.append(*call_bodies())
            stop = threading.Event()
            stop.set()
            # The clock stands, so the time to drain cannot run out.
            await asyncio.to_thread(center.processor().run, stop)
            assert center.published("select outcome from queue_visits") == "answered"

    asyncio.run(scenario())


def test_a_processor_begins_where_the_one_before_it_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            first, *rest = call_bodies()
            for part in ([first], rest):
                await center.append(*part)
                processor = center.processor()
                async with running(processor):
                    await all_landed(center, processor)
                center.registry = CollectorRegistry()
            assert value(center.db, "select count(*) from events") == 4
            assert value(center.db, "select max(log_offset) from log_positions") == 4

    asyncio.run(scenario())


def test_what_has_landed_long_ago_is_forgotten_by_the_log_and_kept_by_the_warehouse(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            old, *young = call_bodies()
            await center.append(old, received=NOON - timedelta(days=8))
            await center.append(*young, *bodies(a_call("bob").queued(at=NOON).answered(after=9)), received=NOON)
            processor = center.processor()
            async with running(processor):
                await all_landed(center, processor)
                center.clock.now = LATER + timedelta(hours=1)
                left = [2, 3, 4, 5, 6, 7]
                await until_async(
                    lambda: list(center.log.read({}, 9).offsets) == left, lambda: center.log.read({}, 9).offsets
                )
            assert value(center.db, "select count(*) from events") == 7

    asyncio.run(scenario())


@dataclass
class Asked:
    """A log that remembers what it was asked to forget."""

    log: SqliteLog
    before_us: list[int] = field(default_factory=list)
    up_to: list[Positions] = field(default_factory=list)

    FIRST_OFFSET = SqliteLog.FIRST_OFFSET

    def read(self, after: Positions, limit: int) -> Batch:
        """As the log."""
        return self.log.read(after, limit)

    def end(self) -> Positions:
        """As the log."""
        return self.log.end()

    def forget(self, landed: Positions, before_us: int) -> int:
        """As the log."""
        self.before_us.append(before_us)
        self.up_to.append(dict(landed))
        return self.log.forget(landed, before_us)


def test_a_clock_that_jumps_makes_the_log_forget_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            await center.append(*call_bodies())
            asked = Asked(center.log)
            async with running(center.processor(reader=asked)) as _:
                for days in (400, -400, 1):
                    # What comes now is dated by the wrong clock, and is no older by that.
                    await center.append(b"?", received=LATER + timedelta(days=days))
                    before = len(asked.before_us)
                    center.clock.now = LATER + timedelta(days=days)
                    await until_async(lambda before=before: len(asked.before_us) > before, lambda: asked.before_us)  # type: ignore[misc]
            assert max(asked.before_us) <= microseconds(NOON - timedelta(days=7))
            assert list(center.log.read({}, 9).offsets) == [1, 2, 3, 4, 5, 6, 7]

    asyncio.run(scenario())


def test_the_log_is_never_told_to_forget_what_no_replica_holds(tmp_path: Path) -> None:
    def no_room() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            await center.append(*call_bodies(), received=NOON - timedelta(days=30))
            asked = Asked(center.log)
            processor = center.processor(reader=asked, publisher=Quick(no_room))

            def asked_again() -> bool:
                center.clock.now += timedelta(hours=1)
                return len(asked.up_to) > 3

            async with running(processor):
                await all_landed(center, processor)
                asked.up_to.clear()
                await until_async(asked_again, lambda: asked.up_to)
            assert set(map(str, asked.up_to)) == {"{}"}
            assert list(center.log.read({}, 9).offsets) == [1, 2, 3, 4]

    asyncio.run(scenario())


def test_time_passes_in_an_idle_center_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            center.clock.now = NOON + timedelta(hours=23, minutes=55)
            await center.append(call_bodies()[0])
            processor = center.processor()

            def became_unknown() -> bool:
                center.clock.now += timedelta(minutes=1)
                return center.published("select outcome from queue_visits") == "unknown"

            async with running(processor):
                await all_landed(center, processor)
                await until_async(became_unknown, lambda: center.published("select outcome from queue_visits"))

    asyncio.run(scenario())


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(hours=-1)])
def test_a_clock_that_jumps_while_the_replica_is_put_out_keeps_nothing_from_readers(
    tmp_path: Path, jump: timedelta
) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            seen: list[int] = []

            def put_out() -> None:
                seen.append(value(center.db, "select count(*) from events"))
                if seen[-1] == 1:
                    center.clock.now += jump

            first, *rest = call_bodies()
            await center.append(first)
            async with running(center.processor(publisher=Quick(put_out))):
                await until_async(lambda: 1 in seen, lambda: seen)
                await center.append(*rest)
                await until_async(lambda: seen[-1] > 1, lambda: seen)

    asyncio.run(scenario())


class Picky(Landing):
    """A landing that cannot take one word, as a database that meets a value beyond its types."""

    def land(self, batch: Batch | Prepared, now: datetime) -> Landed:
        """Land, or not."""
        records = batch.batch if isinstance(batch, Prepared) else batch
        for body, rejection in zip(records.bodies, records.rejections, strict=True):
            if b"poison" in body and rejection is None:
                raise duckdb.DataError("no such value")
        return super().land(batch, now)


def test_a_record_that_cannot_land_is_rejected_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            good = call_bodies()
            await center.append(*good[:3], b'{"poison": 1}', good[3])
            processor = center.processor(landing=Picky(center.db))
            async with running(processor):
                await all_landed(center, processor)
            assert value(center.db, "select count(*) from events") == 4
            assert center.db.execute("select reason, log_offset, body from rejected").fetchall() == [
                ("unlandable:DataError", 4, b'{"poison": 1}')
            ]
            assert value(center.db, "select outcome from queue_visits") == "answered"

    asyncio.run(scenario())


def test_a_damaged_group_is_rejected_and_counted_and_the_rest_lands(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            good = call_bodies()
            for body in (*good[:3], b"the one that is damaged", good[3]):
                await center.append(body)
            with contextlib.closing(sqlite3.connect(tmp_path / "log.sqlite", isolation_level=None)) as db:
                db.execute("update groups set bodies = 'another' where last_position = 4")
                db.execute("pragma wal_checkpoint(truncate)")  # which has it as it was
            processor = center.processor()
            async with running(processor):
                await all_landed(center, processor)
            assert value(center.db, "select count(*) from events") == 4
            rows = center.db.execute("select reason, verified, log_offset, body from rejected").fetchall()
            assert [row[:3] for row in rows] == [("damaged", False, 4)]
            assert rows[0][3].endswith(b"another")
            assert processor.metrics.damaged_records == 1

    asyncio.run(scenario())


@dataclass
class Balky:
    """A log that cannot be read the first time."""

    log: SqliteLog
    refusals: int = 1

    FIRST_OFFSET = SqliteLog.FIRST_OFFSET

    def read(self, after: Positions, limit: int) -> Batch:
        """Read, but not at first."""
        if self.refusals:
            self.refusals -= 1
            raise LogUnavailableError("the disk is away")
        return self.log.read(after, limit)

    def end(self) -> Positions:
        """As the log."""
        return self.log.end()

    def forget(self, landed: Positions, before_us: int) -> int:
        """As the log."""
        return self.log.forget(landed, before_us)


def test_a_log_that_cannot_be_read_now_is_asked_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            await center.append(*call_bodies())
            processor = center.processor(reader=Balky(center.log))
            async with running(processor):
                await all_landed(center, processor)

    asyncio.run(scenario())


def test_a_replica_that_cannot_be_put_out_stops_no_landing(tmp_path: Path) -> None:
    def no_room() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            await center.append(*call_bodies())
            processor = center.processor(publisher=Quick(no_room))
            async with running(processor):
                await all_landed(center, processor)
                assert "No space left" in (processor.progress.unpublished or "")
            assert processor.progress.replica_at is None

    asyncio.run(scenario())


def test_a_fault_of_our_own_ends_the_processor_and_is_raised(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_center(tmp_path) as center:
            center.db.execute("drop table queue_visits")
            await center.append(*call_bodies())
            stop = threading.Event()
            ended = asyncio.create_task(asyncio.to_thread(center.processor().run, stop))
            await asyncio.wait([ended], timeout=PATIENCE_S)
            stop.set()
            with pytest.raises(duckdb.CatalogException):
                await ended

    asyncio.run(scenario())
