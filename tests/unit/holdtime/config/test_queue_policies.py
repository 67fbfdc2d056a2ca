"""What is agreed for queues stands in the warehouse as the configuration says, and in what is published of it."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from holdtime.config import settings
from holdtime.config.queue_policies import definitions
from holdtime.config.settings import CONFIG_FILE
from holdtime.service import opening
from reports.errors import RequestError
from warehouse.queue_definitions import QueueDefinition
from warehouse.replica import publish

AGREED = """
timezone = "Europe/Oslo"
[service_level]
threshold_secs = 15
[[queue]]
name = "desk"
effective_from = 2026-03-02T12:00:00
threshold_secs = 30.5
[[queue]]
name = "desk"
effective_from = 2026-04-01
timezone = "Asia/Tokyo"
variant = "answered_only"
"""
EVERYONES = QueueDefinition(None, None, 15_000, 5_000, 0.8, "short_abandons_excluded", "Europe/Oslo")
SHOWN = """
select queue, strftime(effective_from at time zone 'UTC', '%Y-%m-%d %H'), threshold_ms, variant, timezone
from queue_definitions order by queue nulls first, effective_from nulls first
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_definition_says_all_that_holds_from_its_date_on() -> None:
    CONFIG_FILE.write_text(AGREED)
    desk = QueueDefinition("desk", None, 15_000, 5_000, 0.8, "short_abandons_excluded", "Europe/Oslo")
    noon, april = datetime(2026, 3, 2, 11, tzinfo=UTC), datetime(2026, 3, 31, 15, tzinfo=UTC)
    assert definitions(settings.load().configuration) == (
        EVERYONES,
        desk,
        QueueDefinition("desk", noon, 30_500, 5_000, 0.8, "short_abandons_excluded", "Europe/Oslo"),
        QueueDefinition("desk", april, 30_500, 5_000, 0.8, "answered_only", "Asia/Tokyo"),
    )


def test_without_a_configuration_the_defaults_hold_for_every_queue() -> None:
    (only,) = definitions(settings.load().configuration)
    assert only == QueueDefinition(None, None, 20_000, 5_000, 0.8, "short_abandons_excluded", "UTC")


def test_a_date_that_the_clocks_skip_is_named() -> None:
    CONFIG_FILE.write_text('[[queue]]\nname = "desk"\ntimezone = "Europe/Oslo"\neffective_from = 2026-03-29T02:30:00\n')
    with pytest.raises(RequestError, match="effective_from of the queue 'desk' 2026-03-29T02:30:00 does not exist"):
        definitions(settings.load().configuration)


def _published() -> list[tuple[object, ...]]:
    """What a replica says is agreed, after the warehouse was opened for landing."""
    loaded = settings.load()

    async def opened() -> None:
        async with AsyncExitStack() as stack:
            warehouse = opening.open_warehouse(loaded, stack)
            publish(warehouse.db, loaded.environment.warehouse, loaded.environment.replica)

    asyncio.run(opened())
    with duckdb.connect(loaded.environment.replica, read_only=True) as db:
        return db.execute(SHOWN).fetchall()


def test_what_is_agreed_is_published_and_follows_the_configuration() -> None:
    CONFIG_FILE.write_text(AGREED)
    variant, oslo = "short_abandons_excluded", "Europe/Oslo"
    before = [
        (None, None, 15_000, variant, oslo),
        ("desk", None, 15_000, variant, oslo),
        ("desk", "2026-03-02 11", 30_500, variant, oslo),
        ("desk", "2026-03-31 15", 30_500, "answered_only", "Asia/Tokyo"),
    ]
    assert _published() == before
    assert _published() == before
    CONFIG_FILE.write_text('[[queue]]\nname = "shop"\nthreshold_secs = 60\n')
    assert _published() == [(None, None, 20_000, variant, "UTC"), ("shop", None, 60_000, variant, "UTC")]
