"""What only the SQLite log promises: one file, one writer, one fsync for many, and recovery by itself."""

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from eventlog.log import (
    LogUnavailableError,
    Origin,
    Record,
)
from eventlog.sqlite import writer as sqlite_writer
from eventlog.sqlite.file import (
    APPLICATION_ID,
    UnusableLogError,
    open_writer,
)
from eventlog.sqlite.log import SqliteLog
from eventlog.sqlite.writer import Bounds, Writer


def a_record(number: int, size: int = 600) -> Record:
    return Record(f"{number} ".encode().ljust(size, b"x"), received_us=number)


def numbers(log: SqliteLog) -> list[int]:
    return list(log.read({}, 1_000_000).received_us)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "log #1?.sqlite"


def with_log(path: Path, scenario: Callable[[SqliteLog], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        log = SqliteLog(path, **options)
        await log.start()
        try:
            await scenario(log)
        finally:
            await log.close()

    asyncio.run(main())


ACKNOWLEDGING = """
import asyncio, sys
from pathlib import Path
from eventlog.log import Record
from eventlog.sqlite.log import SqliteLog

async def main():
    log = SqliteLog(Path(sys.argv[1]))
    await log.start()
    first = int(sys.argv[2])
    async def append(lane):
        for number in range(first + lane, first + 10**6, 8):
            await log.append(Record(b"x" * 600, received_us=number))
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()
    await asyncio.gather(*(append(lane) for lane in range(8)))

asyncio.run(main())
"""


def test_every_acknowledged_record_survives_kill_9(path: Path) -> None:
    acknowledged: set[int] = set()
    for life in range(3):
        command = [sys.executable, "-c", ACKNOWLEDGING, str(path), str(life * 10**6)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(300)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        acknowledged |= {int(line) for line in lines if line.endswith(b"\n")}
    assert len(acknowledged) >= 900
    log = SqliteLog(path)
    kept = numbers(log)
    asyncio.run(log.close())
    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept))


def test_many_appends_share_few_commits(path: Path) -> None:
    groups: list[int] = []

    async def scenario(log: SqliteLog) -> None:
        await asyncio.gather(*(log.append(a_record(number)) for number in range(640)))

    with_log(path, scenario, on_commit=groups.append)
    assert sum(groups) == 640
    assert len(groups) <= 10


def test_a_group_is_bounded_in_records_and_in_bytes(path: Path) -> None:
    groups: list[int] = []

    async def scenario(log: SqliteLog) -> None:
        await asyncio.gather(*(log.append(a_record(number, size)) for size in (600, 60_000) for number in range(40)))

    with_log(path, scenario, on_commit=groups.append, bounds=Bounds(group_records=16, group_bytes=120_000))
    assert sum(groups) == 80
    assert max(groups) == 16
    assert min(groups) == 2


@pytest.mark.parametrize("bounds", [Bounds(waiting_records=10), Bounds(waiting_bytes=6_000)])
def test_what_waits_is_bounded_and_the_rest_is_refused(path: Path, bounds: Bounds) -> None:
    async def scenario(log: SqliteLog) -> None:
        appends = [log.append(a_record(number)) for number in range(25)]
        results = await asyncio.gather(*appends, return_exceptions=True)
        assert [type(result) for result in results] == [type(None)] * 10 + [LogUnavailableError] * 15
        await log.append(a_record(25))
        assert numbers(log) == [*range(10), 25]

    with_log(path, scenario, bounds=bounds)


def test_whoever_gave_up_before_the_commit_is_not_written(path: Path) -> None:
    async def scenario(log: SqliteLog) -> None:
        appends = [asyncio.create_task(log.append(a_record(number))) for number in range(20)]
        await asyncio.sleep(0)
        appends[7].cancel()
        await asyncio.gather(*appends, return_exceptions=True)
        assert numbers(log) == [number for number in range(20) if number != 7]

    with_log(path, scenario)


def test_a_full_disk_refuses_a_whole_group_and_recovers_when_space_returns(path: Path) -> None:
    async def scenario() -> None:
        path.parent.mkdir()
        connection = open_writer(path)
        committed: list[int] = []
        writer = Writer(connection, Bounds(group_records=10), committed.append)
        await writer.append(a_record(0))
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages + 12}")
        appends = [writer.append(a_record(number, 5_000)) for number in range(1, 31)]
        results = await asyncio.gather(*appends, return_exceptions=True)
        refused = [number for number, result in enumerate(results, 1) if isinstance(result, LogUnavailableError)]
        accepted = [number for number, result in enumerate(results, 1) if result is None]
        assert len(refused) + len(accepted) == 30
        assert refused
        assert any("full" in str(result) for result in results)
        connection.execute("pragma max_page_count = 1000000")
        await writer.append(a_record(99))
        groups = connection.execute("select received_us from groups order by last_position").fetchall()
        kept = [number for (packed,) in groups for (number,) in struct.iter_unpack("<q", packed)]
        assert kept == [0, *accepted, 99]
        assert sum(committed) == len(kept)
        await writer.close()

    asyncio.run(scenario())


IO_ERROR = """
import asyncio, resource, sys
from pathlib import Path
from eventlog.log import LogUnavailableError, Origin, Record
from eventlog.sqlite.log import SqliteLog

async def main():
    log = SqliteLog(Path(sys.argv[1]))
    await log.start()
    await log.append(Record(b"before", 1))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the kernel refuses to let any file grow beyond it
    refused = 0
    for _ in range(5):
        try:
            await log.append(Record(b"x" * 200_000, 2))
        except LogUnavailableError:
            refused += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await log.append(Record(b"after", 3))
    print(refused, list(log.read({}, 10).bodies))
    await log.close()

asyncio.run(main())
"""


def test_the_folders_that_were_made_for_the_log_are_synced_where_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "a" / "b" / "log.sqlite"
    with_log(path, lambda log: log.append(a_record(1)))
    assert {folder.stat().st_ino for folder in (tmp_path, path.parent.parent, path.parent)} <= set(synced)


def test_writes_that_the_kernel_refuses_are_refused_and_it_recovers(path: Path) -> None:
    out = subprocess.run([sys.executable, "-c", IO_ERROR, str(path)], capture_output=True, text=True, check=True)
    said, answered = out.stdout.splitlines()[:-1], out.stdout.splitlines()[-1]
    assert answered == "5 [b'before', b'after']"
    assert ["log_unavailable" in line for line in said] == [True, False], "said once, and that it is over"


def test_a_foreign_lock_on_the_file_refuses_records_only_as_long_as_it_lasts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(log: SqliteLog) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as somebody:
            somebody.execute("begin immediate")
            assert log.unavailable is None
            with pytest.raises(LogUnavailableError, match="locked"):
                await log.append(a_record(1))
            assert "locked" in str(log.unavailable)
            monkeypatch.setattr(sqlite_writer, "ASK_AGAIN_S", 0.0)
            assert log.unavailable is None, "nobody would send another delivery, which alone can tell"
            monkeypatch.undo()
            somebody.execute("rollback")
        assert log.unavailable is not None
        await log.append(a_record(2))
        assert log.unavailable is None
        assert numbers(log) == [2]

    with_log(path, scenario)


def test_a_second_writer_is_refused_in_this_process_and_in_another(path: Path) -> None:
    async def scenario(log: SqliteLog) -> None:
        with pytest.raises(UnusableLogError, match=f"already has a writer, process {os.getpid()}: stop it"):
            await SqliteLog(path).start()
        command = [sys.executable, "-c", ACKNOWLEDGING, str(path), "0"]
        other = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
        assert other.returncode != 0
        assert "already has a writer" in other.stderr
        await log.append(a_record(1))

    with_log(path, scenario)
    with_log(path, lambda log: log.append(a_record(2)))


def test_another_process_reads_while_it_is_written(path: Path) -> None:
    reading = "import sys; from pathlib import Path; from eventlog.sqlite.log import SqliteLog; "
    reading += "log = SqliteLog(Path(sys.argv[1])); print(log.end(), list(log.read({}, 9).received_us))"

    async def scenario(log: SqliteLog) -> None:
        for number in (1, 2):
            await log.append(a_record(number))
            command = [sys.executable, "-c", reading, str(path)]
            out = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
            assert out.stdout == f"{{0: {number}}} {list(range(1, number + 1))}\n", out.stderr

    with_log(path, scenario)


def test_a_log_that_is_not_there_yet_is_unavailable_to_a_reader(path: Path) -> None:
    log = SqliteLog(path)
    with pytest.raises(LogUnavailableError):
        log.read({}, 1)
    with_log(path, lambda log: log.append(a_record(1)))
    assert numbers(log) == [1]
    asyncio.run(log.close())


def test_a_batch_is_bounded_in_bytes_and_holds_at_least_one_record(path: Path) -> None:
    async def scenario(log: SqliteLog) -> None:
        for number in range(1, 7):
            await log.append(a_record(number, 100_000 if number == 4 else 1_000))
        after, lengths = 0, []
        while batch := log.read({0: after}, 100):
            lengths.append(len(batch))
            after = batch.offsets[-1]
        assert lengths == [3, 1, 2]

    with_log(path, scenario, batch_bytes=3_500)


def test_the_file_and_what_is_beside_it_are_for_their_owner_only(path: Path) -> None:
    async def scenario(log: SqliteLog) -> None:
        await log.append(a_record(1))
        modes = {file.name.removeprefix(path.name): stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {"": 0o600, "-wal": 0o600, "-shm": 0o600, ".lock": 0o600}

    with_log(path, scenario)


def somebody_elses(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table contacts (name text)")


def from_the_future(path: Path) -> None:
    with contextlib.closing(open_writer(path)) as connection:
        connection.execute("pragma user_version = 99")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (somebody_elses, "another application's database"),
        (from_the_future, "a log of version 99, this program reads version 3"),
        (lambda path: path.write_bytes(b"not a database" * 100), "not a SQLite database"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_left_as_it_was(
    tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "log.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(UnusableLogError, match=says):
        asyncio.run(SqliteLog(path).start())
    with pytest.raises(UnusableLogError, match=says):
        SqliteLog(path).read({}, 1)
    assert path.read_bytes() == before
    with pytest.raises(UnusableLogError, match=says):  # and the writer's lock was given back
        asyncio.run(SqliteLog(path).start())


def test_forgotten_space_is_used_again(path: Path) -> None:
    async def scenario(log: SqliteLog) -> None:
        sizes = []
        for life in range(4):
            await asyncio.gather(*(log.append(a_record(number)) for number in range(life * 4000, (life + 1) * 4000)))
            await asyncio.to_thread(log.forget, log.end(), 10**9)
            with contextlib.closing(sqlite3.connect(path)) as connection:
                sizes.append(connection.execute("pragma page_count").fetchone()[0])
        assert numbers(log) == []
        assert sizes[-1] < sizes[0] * 1.5

    with_log(path, scenario)


def test_forgetting_passes_over_a_record_from_a_clock_that_had_jumped(path: Path) -> None:
    async def scenario(log: SqliteLog) -> None:
        for received_us in (1, 999_999, 2, 3):
            await log.append(Record(b"", received_us))
        assert await asyncio.to_thread(log.forget, log.end(), 100) == 3
        assert numbers(log) == [999_999]

    with_log(path, scenario)


def test_forgetting_on_the_event_loop_is_an_error_and_not_a_deadlock(path: Path) -> None:
    async def scenario(log: SqliteLog) -> None:
        await log.append(a_record(1))
        with pytest.raises(RuntimeError, match="use asyncio"):
            log.forget({0: 1}, 10**9)

    with_log(path, scenario)


def test_only_the_open_writer_appends_and_forgets(path: Path) -> None:
    async def scenario() -> None:
        log = SqliteLog(path)
        with pytest.raises(LogUnavailableError, match="not open for writing"):
            await log.append(a_record(1))
        with pytest.raises(LogUnavailableError, match="only its writer can forget"):
            log.forget({0: 1}, 1)
        await log.start()
        await log.close()
        with pytest.raises(LogUnavailableError):
            await log.append(a_record(1))

    asyncio.run(scenario())


FIRST_VERSION = """
create table records (
    position integer primary key autoincrement,
    received_us integer not null,
    origin text not null,
    verified integer not null,
    rejection text,
    body blob not null
);
insert into records values
    (3, 1800000000000000, 'webhook', 1, null, x'7b7d'),
    (5, 2, 'replay', 0, 'stale', x'00ff'),
    (9, 3, 'webhook', 1, null, '');
delete from records where position = 9;
pragma user_version = 1;
"""


def test_a_log_of_the_first_version_goes_on_with_what_it_held(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_VERSION)
        connection.execute(f"pragma application_id = {APPLICATION_ID}")

    async def scenario(log: SqliteLog) -> None:
        assert log.end() == {0: 9}
        await log.append(Record(b"new", 7))
        batch = log.read({}, 10)
        assert batch.offsets == [3, 5, 10]
        assert batch.bodies == [b"{}", b"\x00\xff", b"new"]
        assert batch.received_us == [1_800_000_000_000_000, 2, 7]
        assert batch.origins == ["webhook", "replay", "webhook"]
        assert batch.verified == [True, False, True]
        assert batch.rejections == [None, "stale", None]

    with_log(path, scenario)


def test_records_of_several_kinds_may_share_a_commit(path: Path) -> None:
    commits: list[int] = []

    async def scenario(log: SqliteLog) -> None:
        said = [
            Record(b"a", 5),
            Record(b"b", 4, rejection="stale"),
            Record(b"c", 3),
            Record(b"d", 2, Origin.REPLAY, verified=False),
        ]
        await asyncio.gather(*(log.append(record) for record in said))
        batch = log.read({}, 10)
        assert batch.offsets == [1, 2, 3, 4]
        columns = (batch.bodies, batch.received_us, batch.origins, batch.verified, batch.rejections)
        found = {Record(row[0], row[1], Origin(row[2]), row[3], row[4]) for row in zip(*columns, strict=True)}
        assert found == set(said)

    with_log(path, scenario, on_commit=commits.append)
    assert commits == [4]


def test_who_only_looks_at_an_emptied_log_leaves_its_write_ahead_log_alone(path: Path) -> None:
    async def scenario() -> None:
        log = SqliteLog(path)
        await log.start()
        await log.append(Record(b"only there", 1))
        wal = path.with_name(path.name + "-wal")
        kept = wal.read_bytes()
        shutil.copytree(path.parent, path.parent.with_name("copy"))
        await log.close()
        copied = path.parent.with_name("copy") / path.name
        copied.write_bytes(b"")
        with pytest.raises(UnusableLogError, match="is empty"):
            SqliteLog(copied).end()
        assert copied.with_name(wal.name).read_bytes() == kept

    asyncio.run(scenario())


def test_a_log_that_somebody_removed_takes_nothing_more(path: Path) -> None:
    async def scenario() -> None:
        log = SqliteLog(path)
        await log.start()
        await log.append(Record(b"kept", 1))
        os.rename(path, path.with_name("elsewhere"))
        with pytest.raises(LogUnavailableError, match="somebody removed or replaced it"):
            await log.append(Record(b"lost", 1))
        assert log.unavailable is not None
        path.with_name("elsewhere").rename(path)
        await log.append(Record(b"kept, too", 1))
        assert log.read({}, 9).bodies == [b"kept", b"kept, too"]
        await log.close()

    asyncio.run(scenario())
