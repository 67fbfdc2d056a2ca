"""What `up` refuses to start with, and what it mends, before a delivery is taken."""

import asyncio
import base64
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from eventlog.kafka.connection import Connection
from eventlog.kafka.log import KafkaLog
from eventlog.log import (
    DAMAGED,
    Log,
    Record,
)
from eventlog.sqlite.log import SqliteLog
from holdtime.config import settings
from holdtime.config.settings import ConfigurationError
from holdtime.service.components import opened
from holdtime.service.log_match import ends_before
from processors.landing.landing import Landing
from tests.support.builders import a_batch
from warehouse.database import SCHEMA_VERSION, open_writer
from warehouse.query import value

OLDER = Path(__file__).parents[3] / "fixtures" / "warehouse-v1.duckdb"
BODY = b'{"data": {"event_type": "call.hangup", "id": "one"}}'
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", base64.b64encode(bytes(SigningKey.generate().verify_key)).decode())
    monkeypatch.setenv("HOLDTIME_HTTP_PORT", "0")
    return tmp_path


def landed_up_to(position: int) -> None:
    """Make a warehouse that remembers a log of so many records."""
    db = open_writer(Path("data/warehouse.duckdb"))
    Landing(db).land(a_batch([BODY], partition=SqliteLog.PARTITION, first_offset=position), NOW)
    db.close()


async def append(log: Log) -> int:
    await log.append(Record(BODY, 1))
    return log.end()[SqliteLog.PARTITION]


def a_body(number: int) -> bytes:
    return b'{"data": {"event_type": "call.hangup", "id": "%d"}}' % number


def test_the_log_of_another_warehouse_is_refused_and_left_alone(folder: Path) -> None:
    db = open_writer(Path("data/warehouse.duckdb"))
    Landing(db).land(a_batch([a_body(number) for number in range(1, 6)], partition=SqliteLog.PARTITION), NOW)
    db.close()

    async def scenario() -> int:
        log = SqliteLog(Path("data/log.sqlite"))
        await log.start()
        for number in range(101, 110):
            await log.append(Record(a_body(number), 1))
        await log.close()
        with pytest.raises(ConfigurationError, match="HOLDTIME_LOG holds other records than those that landed"):
            async with opened(settings.load()):
                pass
        return log.end()[SqliteLog.PARTITION]

    assert asyncio.run(scenario()) == 9


def test_a_log_that_lost_its_end_goes_on_after_what_has_landed_and_says_that_some_may_be_lost(folder: Path) -> None:
    db = open_writer(Path("data/warehouse.duckdb"))
    Landing(db).land(a_batch([a_body(number) for number in range(1, 6)], partition=SqliteLog.PARTITION), NOW)
    db.close()

    async def scenario() -> list[str | None]:
        log = SqliteLog(Path("data/log.sqlite"))
        await log.start()
        for number in range(1, 4):
            await log.append(Record(a_body(number), 1))
        await log.close()
        async with opened(settings.load()) as components:
            assert await append(components.log) == 7
            return (await asyncio.to_thread(components.log.read, {SqliteLog.PARTITION: 5}, 9)).rejections

    assert asyncio.run(scenario()) == [DAMAGED, None]


def test_a_new_log_goes_on_after_what_the_warehouse_has_landed(folder: Path) -> None:
    landed_up_to(500)

    async def scenario() -> int:
        async with opened(settings.load()) as components:
            return await append(components.log)

    assert asyncio.run(scenario()) == 501


def test_a_log_that_ends_before_the_warehouse_is_refused(folder: Path) -> None:
    landed_up_to(500)

    async def scenario() -> None:
        log = SqliteLog(Path("data/log.sqlite"))
        await log.start()
        assert await append(log) == 1
        await log.close()
        async with opened(settings.load()):
            pass

    with pytest.raises(ConfigurationError, match="ends at position 1, but the warehouse has landed up to 500"):
        asyncio.run(scenario())


@pytest.mark.parametrize("kept", [0, 4096])
def test_a_log_that_was_damaged_goes_on_after_the_warehouse_and_the_loss_is_in_it(folder: Path, kept: int) -> None:
    landed_up_to(500)

    async def scenario() -> tuple[list[int], list[str | None]]:
        log = SqliteLog(Path("data/log.sqlite"))
        await log.start()
        for _ in range(40):
            await append(log)
        await log.close()
        os.truncate("data/log.sqlite", kept)
        for _ in range(2):
            async with opened(settings.load()) as components:
                await append(components.log)
                assert len(components.log.set_aside()) == 1
                batch = components.log.read({SqliteLog.PARTITION: 500}, 10)
        return batch.offsets, batch.rejections

    assert asyncio.run(scenario()) == ([501, 502, 503], [DAMAGED, None, None])


def test_a_log_ends_before_the_warehouse_in_the_partitions_that_are_that_logs(folder: Path) -> None:
    in_a_file = SqliteLog(folder / "log.sqlite")
    assert ends_before(in_a_file, {0: 5}, {0: 5, 1: 9}) == []
    assert ends_before(in_a_file, {0: 4}, {0: 5, 1: 9}) == [0]
    on_kafka = KafkaLog(Connection(("127.0.0.1:9",)))
    assert ends_before(on_kafka, {1: 9, 2: 0}, {0: 5, 1: 9}) == []
    assert ends_before(on_kafka, {1: 8}, {0: 5, 1: 9, 2: 3}) == [1, 2]


def test_one_file_for_two_purposes_is_refused_before_it_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDTIME_REPLICA", str(folder / "data" / ".." / "data" / "warehouse.duckdb"))

    async def scenario() -> None:
        async with opened(settings.load()):
            pass

    with pytest.raises(ConfigurationError, match="must be different files"):
        asyncio.run(scenario())
    assert not (folder / "data").exists()


def test_an_older_warehouse_is_brought_up_to_date(folder: Path) -> None:
    (folder / "data").mkdir()
    shutil.copy(OLDER, folder / "data" / "warehouse.duckdb")

    async def scenario() -> tuple[int, int]:
        async with opened(settings.load()) as components:
            assert components.warehouse is not None
            return value(components.warehouse.db, "select schema_version from warehouse"), await append(components.log)

    version, position = asyncio.run(scenario())
    assert version == SCHEMA_VERSION
    assert position > 500


def test_an_older_warehouse_is_left_alone_while_anything_else_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", "not a key")
    (folder / "data").mkdir()
    path = folder / "data" / "warehouse.duckdb"
    shutil.copy(OLDER, path)

    async def scenario() -> None:
        async with opened(settings.load()):
            pass

    with pytest.raises(ConfigurationError, match="TELNYX_PUBLIC_KEY"):
        asyncio.run(scenario())
    assert path.read_bytes() == OLDER.read_bytes()
