"""The supervisor: whatever ends landing, deliveries are taken, and the reason is there to read."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from eventlog.log import Record
from holdtime.config import settings
from holdtime.service.components import opened
from holdtime.service.service import Service
from tests.support.builders import (
    NOON,
    a_call,
    bodies,
    microseconds,
)
from tests.support.waiting import until_async
from warehouse.database import open_writer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", base64.b64encode(bytes(SigningKey.generate().verify_key)).decode())
    monkeypatch.setenv("HOLDTIME_HTTP_PORT", "0")
    return tmp_path


@asynccontextmanager
async def serving(prepare: Callable[[Service], object] = lambda _: None) -> AsyncIterator[Service]:
    """All of `up` but HTTP; told to stop, and waited for, at the end."""
    async with opened(settings.load()) as components:
        service = Service(settings.load(), components, ingests=True, lands=True)
        prepare(service)
        await service.supervisor.look_back()
        task = asyncio.create_task(service.process())
        try:
            yield service
        finally:
            service.stop.set()
            await task


async def append(service: Service) -> None:
    for body in bodies(a_call().queued(at=NOON).answered(after=41).talked(300)):
        await service.components.log.append(Record(body, microseconds(NOON)))


def remove_warehouse() -> None:
    for each in Path("data").glob("warehouse.duckdb*"):
        each.unlink()


def test_an_error_that_nobody_foresaw_keeps_no_delivery_away_and_is_there_to_read(folder: Path) -> None:
    def break_landing(service: Service) -> None:
        assert service.components.warehouse is not None
        service.components.warehouse.db.execute("drop table queue_visits")

    async def scenario() -> None:
        async with serving(break_landing) as service:
            await append(service)
            await until_async(lambda: service.supervisor.away, service.status)
            assert service.unready() is None
            await append(service)
            away = service.status()["landing_away"]
            assert isinstance(away, dict)
            assert "queue_visits" in away["reason"]
            assert service.components.registry.get_sample_value("holdtime_landing_away", {"why": away["why"]}) == 1.0

    asyncio.run(scenario())


def test_a_warehouse_that_is_gone_is_made_from_its_replica_before_the_replica_could_be_replaced(folder: Path) -> None:
    async def scenario() -> None:
        async with serving() as service:
            await append(service)
            await until_async(lambda: service.status()["lag_events"] == 0, service.status)
        remove_warehouse()
        async with serving() as service:
            await until_async(lambda: service.status()["replica_at"], service.status)
            assert service.status()["lag_events"] == 0

    asyncio.run(scenario())
    db = open_writer(Path("data/warehouse.duckdb"))
    assert db.execute("select count(*) from events").fetchall() == [(4,)]
    db.close()
