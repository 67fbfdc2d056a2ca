"""What was rejected, shown: by reason, without a telephone number in it, and harmless to the screen."""

import base64
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from holdtime.commands import rejected
from tests.support.builders import (
    NOON,
    Warehouse,
    opened_warehouse,
)

NUMBER = b"+15551234567"
HOSTILE = b'{"from":"' + NUMBER + b'","name":"\x1b[2J[red]\xe2\x80\xae"'
BINARY = b"\xff\xfe" + NUMBER


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        opened.land(HOSTILE, BINARY, b"x" * 500, received=[NOON + timedelta(seconds=n) for n in range(3)])
        yield opened


def on_screen(warehouse: Warehouse, *, bodies: bool = False, reason: str | None = None) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard", _environ={})
    found = rejected.reasons(warehouse.db, reason)
    rows = rejected.newest(warehouse.db, reason, most=20, bodies=bodies)
    console.print(rejected.renderable(found, rows, ZoneInfo("UTC"), bodies=bodies))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def listed(warehouse: Warehouse, *, bodies: bool = False, most: int = 20, reason: str | None = None) -> dict[str, list]:  # type: ignore[type-arg]
    found = rejected.reasons(warehouse.db, reason)
    rows = rejected.newest(warehouse.db, reason, most=most, bodies=bodies)
    written: dict[str, list] = json.loads(rejected.as_json(found, rows, bodies=bodies))  # type: ignore[type-arg]
    return written


def test_reasons_are_counted_and_the_newest_records_come_first(warehouse: Warehouse) -> None:
    found = listed(warehouse, most=2)
    assert [(each["reason"], each["records"], each["bytes"]) for each in found["reasons"]] == [
        ("not_json", 2, len(HOSTILE) + 500),
        ("not_utf8", 1, len(BINARY)),
    ]
    assert [(row["received_at"], row["log_offset"]) for row in found["records"]] == [
        ("2026-02-03T12:00:02+00:00", 3),
        ("2026-02-03T12:00:01+00:00", 2),
    ]


def test_one_reason_can_be_asked_for(warehouse: Warehouse) -> None:
    found = listed(warehouse, reason="not_utf8")
    assert [each["reason"] for each in found["reasons"]] == ["not_utf8"]
    assert [row["reason"] for row in found["records"]] == ["not_utf8"]


def test_no_number_is_shown_unless_bodies_are_asked_for(warehouse: Warehouse) -> None:
    without = on_screen(warehouse) + json.dumps(listed(warehouse))
    assert "5551234567" not in without
    assert '{"from":"+###########"' in on_screen(warehouse)
    assert max(len(row["beginning"]) for row in listed(warehouse)["records"]) == rejected.BEGINNING_BYTES
    assert "+15551234567" in on_screen(warehouse, bodies=True)


def test_bodies_are_given_byte_for_byte_to_machines(warehouse: Warehouse) -> None:
    _, binary, hostile = listed(warehouse, bodies=True)["records"]
    assert hostile["body"].encode() == HOSTILE
    assert base64.b64decode(binary["body_base64"]) == BINARY


@pytest.mark.parametrize("bodies", [True, False])
def test_texts_from_outside_cannot_drive_the_screen(warehouse: Warehouse, bodies: bool) -> None:
    shown = on_screen(warehouse, bodies=bodies)
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    assert "[red]" in shown


def test_nothing_rejected_is_good_news() -> None:
    with opened_warehouse() as empty:
        assert "Nothing was rejected" in on_screen(empty)
        assert listed(empty) == {"reasons": [], "records": []}
