"""What a damaged SQLite log gives: every record as it came, or named as damaged; never another, and never nothing."""

import asyncio
import contextlib
import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from eventlog.log import (
    DAMAGED,
    LogUnavailableError,
    Origin,
    Record,
    records_of,
)
from eventlog.signature_headers import SignatureHeaders
from eventlog.sqlite import wal as sqlite_wal
from eventlog.sqlite.check import pieces
from eventlog.sqlite.file import APPLICATION_ID, UnusableLogError
from eventlog.sqlite.log import SqliteLog

GROUPS, A_GROUP = 24, 5
HELD = GROUPS * A_GROUP
CLOCK = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def a_record(number: int) -> Record:
    """Return one of several kinds, some larger than a page."""
    rng = random.Random(number)
    body = b"%d " % number + rng.randbytes(rng.choice([0, 300, 5_000]))
    if number % 7 == 0:
        return Record(body, number, Origin.REPLAY, verified=False)
    return Record(
        body,
        number,
        rejection="stale" if number % 11 == 0 else None,
        signature_headers=SignatureHeaders(rng.randbytes(64), b"1800"),
    )


def a_log(folder: Path) -> SqliteLog:
    return SqliteLog(folder / "log.sqlite", clock=lambda: CLOCK)


async def read_all(log: SqliteLog) -> dict[int, Record]:
    """Return every record by its position, read some at a time."""
    found: dict[int, Record] = {}
    positions: dict[int, int] = {}
    while len(batch := await asyncio.to_thread(log.read, positions, 37)):
        assert not found.keys() & set(batch.offsets)
        found |= zip(batch.offsets, records_of(batch), strict=True)
        positions = batch.reached()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `closed`, a log that was closed, and `crashed`, the same with some of it in the WAL only."""
    folder = tmp_path_factory.mktemp("whole")

    async def make() -> None:
        log = a_log(folder / "made")
        for part, first in (("closed", 0), ("crashed", GROUPS // 2)):
            await log.start()
            for group in range(first, first + GROUPS // 2):
                numbers = range(group * A_GROUP, (group + 1) * A_GROUP)
                await asyncio.gather(*(log.append(a_record(number)) for number in numbers))
            if part == "crashed":
                shutil.copytree(folder / "made", folder / part)
            await log.close()
        shutil.copytree(folder / "made", folder / "closed")

    asyncio.run(make())
    return folder


@pytest.fixture(scope="module")
def sent(whole: Path) -> dict[int, Record]:
    """What the log holds, by position: those of one commit have their places by kind."""
    log = a_log(whole / "made")
    found = asyncio.run(read_all(log))
    asyncio.run(log.close())
    assert sorted(record.received_us for record in found.values()) == list(range(HELD))
    return found


async def judged(folder: Path, sent: dict[int, Record]) -> tuple[int, list[Any]]:
    """Open the log, read it, append to it and open it again; return how many records are damaged, and what was said."""
    with capture_logs() as said:
        log = a_log(folder)
        await log.start()
        found = await read_all(log)
        end = log.end()[0]
        await log.append(a_record(0))
        assert (await asyncio.to_thread(log.read, {0: end}, 9)).bodies == [a_record(0).body]
        await log.close()
    damaged = {position for position, record in found.items() if record.rejection == DAMAGED}
    assert not any(found[position].verified for position in damaged)
    assert {position: found[position] for position in found.keys() - damaged} == {
        position: sent[position] for position in found.keys() - damaged
    }
    assert found.keys() >= sent.keys()
    assert bool(log.set_aside()) == bool(said)
    assert not damaged or said
    with capture_logs() as again:
        await log.start()
        assert {**found, end + 1: a_record(0)} == await read_all(log)
        await log.close()
    assert again == [], "it was repaired"
    return len(damaged), said


def changed(folder: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(folder / "log.sqlite", isolation_level=None)) as db:
        assert db.execute(statement, values).rowcount == 1


SIZES = struct.pack("<4i", 1_000_000, -999_999, 0, 0).hex()
CHANGES = {
    "sizes that lead out of the bodies": f"update groups set sizes = x'{SIZES}'",
    "too few sizes": "update groups set sizes = x'00'",
    "too few times": "update groups set received_us = x'313233'",
    "another count": "update groups set records = 2000000000",
    "a negative count": "update groups set records = -1",
    "a body that is another": "update groups set bodies = substr(bodies, 1, 1) || x'07' || substr(bodies, 3)",
    "a text in place of a blob": "update groups set bodies = 'x'",
    "an origin that is no text": "update groups set origin = x'ff00'",
    "verified": "update groups set verified = 1 - verified",
    "a rejection": "update groups set rejection = 'stale'",
    "another signature": "update groups set signatures = zeroblob(length(signatures))",
    "a position far off": "update groups set last_position = 1 << 40",
    "a position among others": "update groups set last_position = 31",
    "no group": "delete from groups",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_that_sqlite_does_not_see_damages_a_group_and_no_more(
    whole: Path, sent: dict[int, Record], tmp_path: Path, change: str
) -> None:
    folder = shutil.copytree(whole / "closed", tmp_path / "log")

    async def scenario() -> None:
        log = a_log(folder)
        await log.start()  # the writer knows how far the log reaches
        changed(folder, f"{change} where last_position = 9")
        with capture_logs() as said:
            found = await read_all(log)
        await log.close()
        damaged = {position for position, record in found.items() if record.rejection == DAMAGED}
        assert len(damaged) <= A_GROUP
        assert found.keys() == sent.keys()
        assert all(found[position] == sent[position] for position in sent.keys() - damaged)
        assert [line["event"] for line in said] == ["log_damaged"]
        assert (said[0]["saved_records"], said[0]["unreadable_records"]) == (HELD - len(damaged), len(damaged))
        assert [each.name for each in log.set_aside()] == ["log.sqlite.damaged-20260302T123000Z"]

    asyncio.run(scenario())


def test_a_last_group_that_is_gone_is_missed_by_the_process_that_wrote_it(
    whole: Path, sent: dict[int, Record], tmp_path: Path
) -> None:
    folder = shutil.copytree(whole / "closed", tmp_path / "log")

    async def scenario() -> None:
        log = a_log(folder)
        await log.start()
        changed(folder, f"delete from groups where last_position = {HELD}")
        assert await read_all(log) == sent, "an older version of its page still has it"
        assert log.set_aside()
        await log.close()

    asyncio.run(scenario())


def test_a_damaged_mark_loses_nothing(whole: Path, sent: dict[int, Record], tmp_path: Path) -> None:
    folder = shutil.copytree(whole / "closed", tmp_path / "log")
    changed(folder, "insert into marks values ('forgotten', 99, 7)")
    damaged, said = asyncio.run(judged(folder, sent))
    assert (damaged, [line["event"] for line in said]) == (0, ["log_damaged"])


def test_what_is_left_of_a_damaged_group_is_kept(whole: Path, sent: dict[int, Record], tmp_path: Path) -> None:
    folder = shutil.copytree(whole / "closed", tmp_path / "log")
    changed(folder, "update groups set checksum = 1 where last_position = 9")

    async def scenario() -> None:
        log = a_log(folder)
        await log.start()
        found = await read_all(log)
        await log.close()
        left = b"".join(record.body for record in found.values() if record.rejection == DAMAGED)
        assert all(sent[position].body in left for position, record in found.items() if record.rejection == DAMAGED)

    asyncio.run(scenario())


DAMAGE: dict[str, Callable[[bytearray, random.Random], None]] = {
    "a flipped bit": lambda content, rng: flip(content, rng.randrange(len(content)), rng),
    "a flipped bit near the beginning": lambda content, rng: flip(content, rng.randrange(110), rng),
    "a page of noise": lambda content, rng: overwrite(content, 4096, rng, rng.randbytes(4096)),
    "a sector of zeros": lambda content, rng: overwrite(content, 512, rng, bytes(512)),
}


def flip(content: bytearray, at: int, rng: random.Random) -> None:
    content[at] ^= 1 << rng.randrange(8)


def overwrite(content: bytearray, size: int, rng: random.Random, by: bytes) -> None:
    at = rng.randrange(len(content)) // size * size
    content[at : at + size] = by[: len(content) - at]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("state", ["closed", "crashed"])
def test_whatever_is_damaged_in_the_file_everything_else_is_read(
    whole: Path, sent: dict[int, Record], tmp_path: Path, state: str, damage: Callable[[bytearray, random.Random], None]
) -> None:
    rng = random.Random(3)
    lost = 0
    for trial in range(4):
        folder = shutil.copytree(whole / state, tmp_path / str(trial))
        edit(folder / "log.sqlite", damage, rng)
        lost += asyncio.run(judged(folder, sent))[0]
    assert lost < HELD


def edit(path: Path, damage: Callable[[bytearray, random.Random], None], rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    damage(content, rng)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [*DAMAGE.values()][:2], ids=[*DAMAGE][:2])
def test_a_damaged_wal_loses_nothing_that_another_frame_has(
    whole: Path, sent: dict[int, Record], tmp_path: Path, damage: Callable[[bytearray, random.Random], None]
) -> None:
    rng = random.Random(5)
    for trial in range(5):
        folder = shutil.copytree(whole / "crashed", tmp_path / str(trial))
        edit(sqlite_wal.path_of(folder / "log.sqlite"), damage, rng)
        assert asyncio.run(judged(folder, sent))[0] <= A_GROUP


def test_a_torn_end_of_the_wal_is_no_damage(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole / "crashed", tmp_path / "log")
    wal = sqlite_wal.path_of(folder / "log.sqlite")
    os.truncate(wal, wal.stat().st_size - 100)

    async def scenario() -> None:
        with capture_logs() as said:
            log = a_log(folder)
            await log.start()
            found = await read_all(log)
            await log.close()
        assert said == []
        assert log.set_aside() == []
        assert HELD // 2 <= len(found) < HELD

    asyncio.run(scenario())


def cut(folder: Path, size: int) -> None:
    os.truncate(folder / "log.sqlite", size)


def zero_the_header(folder: Path) -> None:
    with (folder / "log.sqlite").open("r+b") as file:
        file.write(bytes(100))


@pytest.mark.parametrize(
    ("damage", "least_saved"),
    [
        (lambda folder: cut(folder, (folder / "log.sqlite").stat().st_size // 2 // 4096 * 4096), 10),
        (lambda folder: cut(folder, (folder / "log.sqlite").stat().st_size - 100), HELD - 2 * A_GROUP),
        (lambda folder: cut(folder, 0), 0),
        (zero_the_header, HELD),
    ],
    ids=["half", "100 bytes shorter", "empty", "no header"],
)
def test_a_log_that_is_no_database_any_more_is_salvaged(
    whole: Path, sent: dict[int, Record], tmp_path: Path, damage: Callable[[Path], None], least_saved: int
) -> None:
    folder = shutil.copytree(whole / "closed", tmp_path / "log")
    before = (folder / "log.sqlite").stat().st_ino
    damage(folder)

    async def scenario() -> None:
        with capture_logs() as said:
            log = a_log(folder)
            await log.start()
            found = await read_all(log)
            assert await asyncio.to_thread(log.may_go_on)
            await log.continue_after(10_000)
            await log.append(a_record(1))
            assert log.end() == {0: 10_001}
            assert not await asyncio.to_thread(log.may_go_on)
            await log.close()
        assert [line["event"] for line in said] == ["log_damaged"]
        assert said[0]["saved_records"] >= least_saved
        assert said[0]["unreadable_records"] or least_saved == HELD
        assert all(
            record in (sent.get(position), None) or record.rejection == DAMAGED for position, record in found.items()
        )
        assert [each.stat().st_ino for each in log.set_aside()] == [before]

    asyncio.run(scenario())


def test_what_was_forgotten_is_not_missed(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole / "closed", tmp_path / "log")

    async def scenario() -> None:
        log = a_log(folder)
        await log.start()
        assert await asyncio.to_thread(log.forget, {0: 60}, 1 << 62) == 60
        await log.close()
        changed(folder, "update groups set checksum = 1 where last_position = 69")
        await log.start()
        found = await read_all(log)
        await log.close()
        assert found.keys() == set(range(61, HELD + 1))
        assert [position for position, record in found.items() if record.rejection == DAMAGED] == [66, 67, 68, 69]

    asyncio.run(scenario())


def test_a_crash_between_setting_aside_and_putting_in_place_is_made_up_for(
    whole: Path, sent: dict[int, Record], tmp_path: Path
) -> None:
    for moved in ([], ["log.sqlite-wal"], ["log.sqlite-wal", "log.sqlite"]):
        folder = shutil.copytree(whole / "crashed", tmp_path / f"{len(moved)}")
        shutil.copy(whole / "closed" / "log.sqlite", folder / "log.sqlite.salvaged")
        for name in moved:
            (folder / name).rename(folder / name.replace("sqlite", "sqlite.damaged-before"))

        async def scenario(folder: Path = folder) -> None:
            log = a_log(folder)
            await log.start()
            assert await read_all(log) == sent
            await log.close()

        asyncio.run(scenario())
        assert not (folder / "log.sqlite.salvaged").exists()


def test_a_reader_that_is_no_writer_changes_nothing_and_says_what_is_wrong(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole / "closed", tmp_path / "log")
    changed(folder, "update groups set checksum = 1 where last_position = 9")
    before = (folder / "log.sqlite").read_bytes()
    log = a_log(folder)
    with pytest.raises(LogUnavailableError, match=r"is damaged: the group at position 9 .*`holdtime up` sets it aside"):
        log.read({}, 1_000)
    asyncio.run(log.close())
    assert [piece.fault for piece in pieces(folder / "log.sqlite") if piece.fault] == [
        "the group at position 9 is not as it was written"
    ]
    assert (folder / "log.sqlite").read_bytes() == before


@pytest.mark.parametrize("content", [b"queue,calls\nsupport,3\n" * 300, b"x"])
def test_a_text_file_is_no_damaged_log_and_no_lock_is_left_beside_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.csv"
    path.write_bytes(content)
    for _ in range(2):  # what the first left would make it look like a log
        with pytest.raises(UnusableLogError, match="not a SQLite database"):
            asyncio.run(SqliteLog(path).start())
    assert [each.name for each in tmp_path.iterdir()] == ["report.csv"]
    assert path.read_bytes() == content


SECOND_VERSION = """
create table groups (
    last_position integer primary key autoincrement, records integer not null, origin text not null,
    verified integer not null, rejection text, newest_us integer not null, received_us blob not null,
    sizes blob not null, bodies blob not null
);
insert into groups values
    (2, 2, 'webhook', 1, null, 6, x'05000000000000000600000000000000', x'0200000001000000', x'7b7d31'),
    (3, 1, 'replay', 0, 'stale', 7, x'0700000000000000', x'02000000', x'00ff'),
    (9, 1, 'webhook', 1, null, 8, x'0800000000000000', x'00000000', x'');
delete from groups where last_position = 9;
pragma user_version = 2;
"""


def test_a_log_of_the_second_version_goes_on_with_what_it_held(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "log.sqlite")) as db:
        db.executescript(SECOND_VERSION)
        db.execute(f"pragma application_id = {APPLICATION_ID}")

    async def scenario() -> None:
        log = a_log(tmp_path)
        await log.start()
        assert log.end() == {0: 9}
        await log.append(Record(b"new", 10))
        assert await read_all(log) == {
            1: Record(b"{}", 5),
            2: Record(b"1", 6),
            3: Record(b"\x00\xff", 7, Origin.REPLAY, verified=False, rejection="stale"),
            10: Record(b"new", 10),
        }
        await log.close()
        assert log.set_aside() == []

    asyncio.run(scenario())
