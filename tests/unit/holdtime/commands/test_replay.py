"""Archived bodies from a file: every line lands once, is marked as unverified, and none is lost."""

import asyncio
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventlog.log import Record
from eventlog.sqlite.log import SqliteLog
from holdtime.commands import replay as replaying
from holdtime.commands.replay import Replayed, replay
from holdtime.config.settings import (
    Configuration,
    ConfigurationError,
    Environment,
    Settings,
)
from ingest.archives import bodies as splitting
from ingest.archives import packed
from tests.support.builders import (
    NOON,
    SHAPES,
    a_call,
    a_conference,
    bodies,
    microseconds,
)
from warehouse.database import open_reader

CALL = list(a_call("ann").queued(at=NOON).answered(after=41).talked(300))
DAMAGED = gzip.compress(b"x" * 200, mtime=0)[:20] + b"?" * 40
TABLES = ("stored_events", "queue_visits", "conferences", "participant_stays", "rejected", "undated_events")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        environment=Environment.model_validate(
            {
                "HOLDTIME_LOG": f"sqlite:{tmp_path / 'log.sqlite'}",
                "HOLDTIME_WAREHOUSE": tmp_path / "warehouse.duckdb",
                "HOLDTIME_REPLICA": tmp_path / "replica.duckdb",
            }
        ),
        configuration=Configuration(),
    )


def replayed(settings: Settings, *lines: bytes, end: bytes = b"\n", pack: Callable[[bytes], bytes] = bytes) -> Replayed:
    text = pack(b"".join(line + end for line in lines))
    return replayed_text(settings, text, progress=lambda _: None)


def replayed_text(settings: Settings, text: bytes, *, progress: Callable[[Replayed], None]) -> Replayed:
    archive = settings.environment.replica.with_name("archive.ndjson")
    archive.write_bytes(text)
    with archive.open("rb") as source:
        return replay(settings, source, name="archive.ndjson", progress=progress)


def counted(so_far: Replayed) -> tuple[int, int, int]:
    return so_far.new, so_far.known, so_far.rejected


def asked(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    """What the replica answers."""
    db = open_reader(settings.environment.replica)
    try:
        return db.execute(statement).fetchall()
    finally:
        db.close()


def everything(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(asked(settings, f"from {table}"), key=repr) for table in TABLES}


def logged(settings: Settings, *said: bytes) -> None:
    """Take webhooks in, as `up` does, and stop before they land."""

    async def append() -> None:
        log = SqliteLog(settings.environment.log_path)
        await log.start()
        for body in said:
            await log.append(Record(body, microseconds(NOON)))
        await log.close()

    asyncio.run(append())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_line_may_be_a_body_or_an_item_of_a_list_of_telnyx(settings: Settings, shape: Any) -> None:
    assert counted(replayed(settings, *(event.but(shape=shape).body() for event in CALL))) == (4, 0, 0)
    assert asked(settings, "select outcome, wait_ms from queue_visits") == [("answered", 41_000)]
    assert asked(settings, "select distinct origin, verified from events") == [("replay", False)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"\n  \n"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_files_may_be_packed_and_lines_end_as_they_like(
    settings: Settings, end: bytes, pack: Callable[[bytes], bytes]
) -> None:
    assert counted(replayed(settings, *bodies(CALL), end=end, pack=pack)) == (4, 0, 0)
    assert {body.encode() for (body,) in asked(settings, "select body from stored_events")} == set(bodies(CALL))


def test_the_last_line_needs_no_end_and_an_empty_file_is_nothing(settings: Settings) -> None:
    assert counted(replayed(settings)) == (0, 0, 0)
    assert counted(replayed(settings, b"\n".join(bodies(CALL)), end=b"")) == (4, 0, 0)


def test_what_cannot_be_read_is_kept_with_its_reason(settings: Settings) -> None:
    assert counted(replayed(settings, b"not json", *bodies(CALL), b"\xff", b'{"type":"command"}')) == (4, 0, 3)
    kept = asked(settings, "select reason, body, origin, verified from rejected order by reason")
    assert kept == [
        ("no_event_id", b'{"type":"command"}', "replay", False),
        ("not_json", b"not json", "replay", False),
        ("not_utf8", b"\xff", "replay", False),
    ]


def test_a_file_that_is_replayed_again_changes_nothing(settings: Settings) -> None:
    room = a_conference().created().joined("ann", 1).left("ann", 5).recorded(1, 4).ended(6)
    undated = a_call("bob").queued(at=NOON).events[0].but(at=None)
    lines = [*bodies(CALL, room, undated), b"not json", b"\xff", b"not json"]
    first = replayed(settings, *lines)
    before = everything(settings)
    assert counted(replayed(settings, *lines)) == (0, first.bodies, 0)
    assert counted(replayed(settings, *reversed(lines))) == (0, first.bodies, 0)
    assert everything(settings) == before


def test_an_event_keeps_the_origin_that_landed_first(settings: Settings) -> None:
    enqueued, dequeued, *_ = bodies(CALL)
    logged(settings, enqueued)
    assert counted(replayed(settings, enqueued, dequeued)) == (1, 1, 0), "what waited in the log is not of the file"
    logged(settings, dequeued)
    assert counted(replayed(settings)) == (0, 0, 0)
    found = asked(settings, "select event_type, origin, verified from events order by occurred_at")
    assert found == [("call.enqueued", "webhook", True), ("call.dequeued", "replay", False)]


@pytest.mark.parametrize(("lines", "size"), [(1, 1 << 20), (3, 1 << 20), (1000, 1), (2, 700)])
def test_the_size_of_the_chunks_changes_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, lines: int, size: int
) -> None:
    monkeypatch.setattr(replaying, "CHUNK_BODIES", lines)
    monkeypatch.setattr(replaying, "CHUNK_BYTES", size)
    assert counted(replayed(settings, *bodies(CALL), b"not json")) == (4, 0, 1)
    assert asked(settings, "select outcome from queue_visits") == [("answered",)]


def test_progress_is_told_by_bytes_of_the_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "CHUNK_BODIES", 2)
    monkeypatch.setattr(packed, "BLOCK_BYTES", 64)
    told: list[Replayed] = []
    lines = bodies(CALL)
    text = b"\n".join([*lines[:2], b" " * 10_000, *lines[2:]])
    replayed_text(settings, text, progress=told.append)
    assert [so_far.bodies for so_far in told] == [2, 4]
    assert told[0].bytes_read < told[1].bytes_read == len(text)


def test_a_line_that_is_no_body_by_its_length_stops_the_replay_after_those_before_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "BODY_BYTES", 1000)
    with pytest.raises(ConfigurationError, match=r"archive.ndjson, line 3: .* more than 1,000 bytes"):
        replayed(settings, *bodies(CALL)[:2], b"x" * 1001, *bodies(CALL)[2:])
    assert asked(settings, "select count(*) from events") == [(2,)]


def test_a_file_that_is_cut_off_is_named_and_what_came_before_has_landed(settings: Settings) -> None:
    with pytest.raises(
        ConfigurationError, match=r"archive.ndjson, line 5: is cut off(?s:.*)what was read: 4 new events, 0 known"
    ):
        replayed(settings, *bodies(CALL), pack=lambda text: gzip.compress(text)[:-9])
    assert asked(settings, "select outcome from queue_visits") == [("answered",)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DAMAGED, "archive.ndjson: is damaged: gzip says .*; nothing was replayed"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"archive.ndjson: is a picture \(PNG\): expected webhook bodies"),
        (b"PK\x05\x06", "archive.ndjson: is cut off: expected the directory at the end of a zip"),
    ],
)
def test_what_is_no_archive_is_refused_before_a_file_is_made(settings: Settings, text: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        replayed_text(settings, text, progress=lambda _: None)
    assert not settings.environment.warehouse.exists()
    assert not settings.environment.log_path.exists()


def test_a_file_without_any_event_says_what_was_expected_and_stops_early(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "CHUNK_BODIES", 2)
    with pytest.raises(
        ConfigurationError, match=r"none of the bodies that it begins with is an event(?s:.*)2 rejected"
    ):
        replayed(settings, b"time,queue", b"12:00,sales", b"12:01,sales")
    assert asked(settings, "select count(*) from rejected") == [(2,)]


def test_a_whole_answer_of_a_list_lands_as_its_items_do(settings: Settings) -> None:
    def answer(events: Any, **layout: Any) -> bytes:
        items = [json.loads(event.but(shape="webhook_deliveries").body()) for event in events]
        return json.dumps({"data": items, "meta": {"cursors": {"after": None}}}, **layout).encode()

    text = answer(CALL[:1]) + answer(CALL[1:2], indent=2) + b"\n\n" + answer(CALL[2:]) + b"\n"
    assert counted(replayed_text(settings, text, progress=lambda _: None)) == (4, 0, 0)
    assert asked(settings, "select outcome, wait_ms from queue_visits") == [("answered", 41_000)]
    assert counted(replayed(settings, *bodies(CALL))) == (0, 4, 0)


def test_a_delivery_of_a_list_may_hold_the_whole_body(settings: Settings) -> None:
    items = b",".join(b'{"webhook": ' + body + b', "id": "1", "status": "delivered"}' for body in bodies(CALL))
    assert counted(replayed(settings, b'{"meta": {}, "data": [' + items + b"]}")) == (4, 0, 0)
    assert asked(settings, "select outcome, wait_ms from queue_visits") == [("answered", 41_000)]


def test_every_file_of_a_zip_is_replayed_and_those_that_are_no_text_are_named(settings: Settings) -> None:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as packing:
        packing.writestr("picture.png", b"\x89PNG\r\n\x1a\n\0")
        packing.writestr("monday/first.ndjson", b"\n".join(bodies(CALL)[:2]))
        packing.writestr("monday/second.ndjson", b"\n".join(bodies(CALL)[2:]))
    with pytest.raises(ConfigurationError, match=r"archive.ndjson, picture.png: is a picture(?s:.*)4 new events"):
        replayed_text(settings, kept.getvalue(), progress=lambda _: None)
    assert asked(settings, "select outcome from queue_visits") == [("answered",)]


def test_a_log_that_somebody_writes_is_left_alone(settings: Settings) -> None:
    async def beside_a_writer() -> None:
        log = SqliteLog(settings.environment.log_path)
        await log.start()
        with pytest.raises(ConfigurationError, match=r"already has a writer(?s:.*)holdtime up"):
            await asyncio.to_thread(replayed, settings, *bodies(CALL))
        assert log.end() == {}
        await log.close()

    asyncio.run(beside_a_writer())
    assert not settings.environment.warehouse.exists()
