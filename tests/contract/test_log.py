"""What every event log promises, run on each log. A new log joins by one more parameter of `opener`."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from eventlog.batch import Positions
from eventlog.kafka import address as kafka_address
from eventlog.kafka.appender import DEADLINE_S
from eventlog.kafka.connection import Connection
from eventlog.kafka.log import KafkaLog
from eventlog.kafka.spool import SpooledLog
from eventlog.kafka.topics import EVENTS_PARTITIONS, REJECTED_PARTITIONS, Layout
from eventlog.log import (
    Log,
    Origin,
    Record,
    records_of,
)
from eventlog.signature_headers import SignatureHeaders
from eventlog.sqlite.log import SqliteLog
from tests.support.logs import an_event, bodies, read_all

Opener = Callable[[], contextlib.AbstractAsyncContextManager[Log]]
"""Opens the same log each time; leaving the context closes it."""


def sqlite_log(folder: Path) -> Opener:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Log]:
        log = SqliteLog(folder / "data" / "log.sqlite")
        await log.start()
        try:
            yield log
        finally:
            await log.close()

    return opened


def kafka_log(servers: str) -> Opener:
    layout = Layout(prefix=f"{uuid4().hex}.")

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Log]:
        log = KafkaLog(Connection(kafka_address.servers(servers), layout=layout))
        await log.start()
        try:
            yield log
        finally:
            await log.close()

    return opened


def spooled_log(servers: str, folder: Path) -> Opener:
    """The log with a spool, which gets as long for the cluster as the log without one: no record is spooled here."""
    layout = Layout(prefix=f"{uuid4().hex}.")

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Log]:
        connection = Connection(kafka_address.servers(servers), layout=layout)
        log = SpooledLog(connection, SqliteLog(folder / "spool.sqlite"), direct_s=DEADLINE_S)
        await log.start()
        try:
            yield log
        finally:
            await log.close()

    return opened


ON_KAFKA = [pytest.param(each, marks=pytest.mark.kafka) for each in ("kafka", "kafka with a spool")]


@pytest.fixture(params=["sqlite", *ON_KAFKA])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    if request.param == "sqlite":
        return sqlite_log(tmp_path)
    servers = request.getfixturevalue("kafka")
    return kafka_log(servers) if request.param == "kafka" else spooled_log(servers, tmp_path)


@pytest.fixture(name="forgetful")
def forgetful_opener(tmp_path: Path) -> Opener:
    """The logs that are told what to forget; in Kafka that is a setting of the topic."""
    return sqlite_log(tmp_path)


def run(scenario: Callable[[Log], Awaitable[None]], opener: Opener) -> None:
    async def main() -> None:
        async with opener() as log:
            await scenario(log)

    asyncio.run(main())


def test_an_empty_log_gives_an_empty_batch_and_has_no_end(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        assert len(log.read({}, 10)) == 0
        assert log.end() == {}

    run(scenario, opener)


def test_a_record_comes_back_as_it_was_appended(opener: Opener) -> None:
    records = [
        Record(b"", 1),
        Record(bytes(range(256)), 2, Origin.REPLAY, verified=False),
        Record("תמיכה".encode(), 3, Origin.RECONCILER, verified=False),
        Record(b'{"data":', 4, rejection="stale"),
        Record(b"\xff\xfe", 2**53, Origin.WEBHOOK, verified=True),
        Record(b"{}", 5, signature_headers=SignatureHeaders(bytes(range(64)), b"1800000000")),
        Record(b"stale", 6, rejection="stale", signature_headers=SignatureHeaders(bytes(64), b"000000000007")),
    ]

    async def scenario(log: Log) -> None:
        for record in records:
            await log.append(record)
        found = [record for batch in await read_all(log) for record in records_of(batch)]
        assert sorted(found, key=lambda record: record.received_us) == sorted(
            records, key=lambda each: each.received_us
        )

    run(scenario, opener)


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_records_are_read_in_the_order_in_which_they_were_appended(opener: Opener, limit: int) -> None:
    records = [an_event(number) for number in range(30)]

    async def scenario(log: Log) -> None:
        for record in records:
            await log.append(record)
        batches = await read_all(log, limit=limit)
        assert all(len(batch) <= limit for batch in batches)
        assert [body for batch in batches for body in batch.bodies] == [record.body for record in records]

    run(scenario, opener)


def test_offsets_rise_within_a_partition_and_end_is_the_last_of_them(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        await asyncio.gather(*(log.append(an_event(number)) for number in range(50)))
        offsets: dict[int, list[int]] = defaultdict(list)
        for batch in await read_all(log, limit=9):
            for partition, offset in zip(batch.partitions, batch.offsets, strict=True):
                offsets[partition].append(offset)
        for seen in offsets.values():
            assert seen == sorted(set(seen))
        assert log.end() == {partition: seen[-1] for partition, seen in offsets.items()}

    run(scenario, opener)


def test_concurrent_appends_are_each_kept_once(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        await asyncio.gather(*(log.append(an_event(number)) for number in range(500)))
        assert sorted(await bodies(log)) == sorted(an_event(number).body for number in range(500))

    run(scenario, opener)


def test_what_was_appended_is_readable_at_once(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        positions: Positions = {}
        for number in range(20):
            await log.append(an_event(number))
            batch = await asyncio.to_thread(log.read, positions, 10)
            assert list(batch.bodies) == [an_event(number).body]
            positions.update(zip(batch.partitions, batch.offsets, strict=True))

    run(scenario, opener)


def test_a_reader_beside_a_busy_writer_misses_nothing_and_sees_no_gap(opener: Opener) -> None:
    numbers = range(300)

    async def scenario(log: Log) -> None:
        async def write() -> None:
            for number in numbers:
                await log.append(an_event(number))

        def follow() -> list[bytes]:
            seen: list[bytes] = []
            positions: Positions = {}
            while len(seen) < len(numbers):
                batch = log.read(positions, 17)
                seen += batch.bodies
                positions.update(zip(batch.partitions, batch.offsets, strict=True))
            return seen

        _, seen = await asyncio.gather(write(), asyncio.to_thread(follow))
        assert seen == [an_event(number).body for number in numbers]

    run(scenario, opener)


def test_a_log_that_is_opened_again_holds_everything_and_goes_on_after_it(opener: Opener) -> None:
    async def scenario() -> None:
        async with opener() as log:
            await log.append(an_event(1))
            end = log.end()
        async with opener() as log:
            assert log.end() == end
            await log.append(an_event(2))
            assert await bodies(log) == [an_event(1).body, an_event(2).body]
            assert await bodies(log, end) == [an_event(2).body]

    asyncio.run(scenario())


def test_closing_makes_durable_what_was_still_waiting(opener: Opener) -> None:
    async def scenario() -> None:
        async with opener() as log:
            appends = [asyncio.create_task(log.append(an_event(number))) for number in range(100)]
            await asyncio.sleep(0)
        await asyncio.gather(*appends)
        async with opener() as log:
            assert len(await bodies(log)) == 100

    asyncio.run(scenario())


def test_a_cancelled_append_leaves_the_others_alone(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        appends = [asyncio.create_task(log.append(an_event(number))) for number in range(30)]
        await asyncio.sleep(0)
        for append in appends[::3]:
            append.cancel()
        results = await asyncio.gather(*appends, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False, False] * 10
        await log.append(an_event(30))
        kept = await bodies(log)
        assert len(kept) == len(set(kept))
        assert set(kept) >= {an_event(number).body for number in range(31) if number == 30 or number % 3}

    run(scenario, opener)


def test_a_body_of_one_mebibyte_comes_back_whole(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        large = an_event(1, size=1 << 20)
        await log.append(large)
        assert await bodies(log) == [large.body]

    run(scenario, opener)


def test_a_log_owns_the_partitions_that_it_gives_and_not_those_of_the_other_kind(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        await log.append(an_event(1))
        ends = log.end()
        assert all(log.owns(partition) for partition in ends)
        assert log.owns(SqliteLog.PARTITION) == (log.resumable() is not None)
        assert log.owns(EVENTS_PARTITIONS) == log.owns(REJECTED_PARTITIONS) == (log.resumable() is None)

    run(scenario, opener)


def test_a_log_in_a_file_says_when_it_took_its_last_record_and_one_that_many_write_does_not(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        assert log.last_received_at() is None
        for number in range(3):
            await log.append(an_event(number))
        found = await asyncio.to_thread(log.last_received_at)
        expected = datetime.fromtimestamp(an_event(2).received_us / 1_000_000, UTC) if log.resumable() else None
        assert found == expected

    run(scenario, opener)


def test_a_log_whose_records_are_where_they_belong_has_none_in_a_spool_and_nothing_set_aside(opener: Opener) -> None:
    async def scenario(log: Log) -> None:
        await log.append(an_event(1))
        log.confirm_writable(time.monotonic())
        assert (log.unavailable, log.spooled(), log.set_aside()) == (None, 0, [])
        assert log.exists() == (log.resumable() is not None)

    run(scenario, opener)


def test_forgetting_drops_what_is_old_and_landed_and_nothing_else(forgetful: Opener) -> None:
    async def scenario(log: Log) -> None:
        for number in range(40):
            await log.append(an_event(number))
        landed = await landed_up_to(log, 20)
        assert await asyncio.to_thread(log.forget, landed, an_event(10).received_us) == 10
        assert await bodies(log) == [an_event(number).body for number in range(10, 40)]
        assert await asyncio.to_thread(log.forget, landed, an_event(999).received_us) == 10
        assert await bodies(log) == [an_event(number).body for number in range(20, 40)]
        assert await asyncio.to_thread(log.forget, {}, an_event(999).received_us) == 0
        assert await asyncio.to_thread(log.forget, landed, an_event(999).received_us) == 0

    run(scenario, forgetful)


def test_a_position_is_never_given_twice_even_when_all_was_forgotten(forgetful: Opener) -> None:
    async def scenario() -> None:
        async with forgetful() as log:
            for number in range(5):
                await log.append(an_event(number))
            end = log.end()
            assert await asyncio.to_thread(log.forget, end, an_event(999).received_us) == 5
            assert log.end() == end
        async with forgetful() as log:
            assert log.end() == end
            await log.append(an_event(5))
            assert await bodies(log, end) == [an_event(5).body]

    asyncio.run(scenario())


def test_appends_go_on_while_it_forgets(forgetful: Opener) -> None:
    async def scenario(log: Log) -> None:
        await asyncio.gather(*(log.append(an_event(number)) for number in range(3000)))
        forgetting = asyncio.create_task(asyncio.to_thread(log.forget, log.end(), an_event(9999).received_us))
        await asyncio.gather(*(log.append(an_event(number)) for number in range(3000, 3100)))
        assert await forgetting == 3000
        assert sorted(await bodies(log)) == sorted(an_event(number).body for number in range(3000, 3100))

    run(scenario, forgetful)


async def landed_up_to(log: Log, count: int) -> Positions:
    """Return the positions of a processor that has landed the first `count` records."""
    positions: Positions = {}
    while count:
        batch = await asyncio.to_thread(log.read, positions, count)
        positions.update(zip(batch.partitions, batch.offsets, strict=True))
        count -= len(batch)
    return positions
