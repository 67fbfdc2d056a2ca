"""A damaged warehouse: found for certain, set aside whole, and in its place what is known to be good."""

import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from warehouse import wal
from warehouse.blocks import mismatches
from warehouse.damage import MOST, Part, Recovery, aside, examine, recover
from warehouse.database import open_reader, open_writer
from warehouse.errors import DamagedError, LockedError, Trouble, UnavailableError, trouble
from warehouse.query import value
from warehouse.replica import publish

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
COUNT = "select count(*) from bridged_connections"

DIES = """
import pathlib, sys
from warehouse.database import open_writer
db = open_writer(pathlib.Path(sys.argv[1]))
for _ in range(3):
    db.execute("insert into bridged_connections select uuid() from range(1_000)")
import os
os._exit(9)
"""

RECOVERS = """
import os, pathlib, signal, sys
from datetime import UTC, datetime
left = int(sys.argv[3])
def killed(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(killed)
from warehouse.damage import recover
recover(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), now=datetime(2026, 3, 2, 12, tzinfo=UTC))
"""


@dataclass
class Place:
    """A warehouse and its replica: 40,000 rows published, 3,000 more in the write-ahead log of a process that died."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def replica(self) -> Path:
        return self.folder / "replica.duckdb"

    def recover(self, now: datetime = NOW, *, insists: bool = False) -> Recovery | None:
        return recover(self.warehouse, self.replica, now=now, insists=insists)

    def flip(self, at: int, *, of: Path | None = None) -> None:
        with (of or self.warehouse).open("r+b") as file:
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 4]))

    def damage(self) -> None:
        """A block that is in use: the one that the catalog begins in, by the newest of the two headers."""
        with self.warehouse.open("rb") as file:
            headers = [struct.unpack("<QQQ", file.read(4_096)[:24]) for _ in range(3)]
        _, _, catalog = max(headers[1:], key=lambda header: header[1])
        self.flip(3 * 4_096 + (catalog & ((1 << 56) - 1)) * 262_144 + 777)

    def rows(self) -> int:
        """What the next writer finds."""
        with closing(open_writer(self.warehouse)) as db:
            return int(value(db, COUNT))

    def names(self) -> set[str]:
        return {each.name for each in self.folder.iterdir()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("written"))
    with closing(open_writer(made.warehouse)) as db:
        db.execute("insert into bridged_connections select uuid() from range(40_000)")
        publish(db, made.warehouse, made.replica)
    ended = subprocess.run([sys.executable, "-c", DIES, str(made.warehouse)], check=False)
    assert ended.returncode == 9
    assert wal.beside(made.warehouse).stat().st_size > 10_000
    return made


@pytest.fixture
def place(written: Place, tmp_path: Path) -> Place:
    shutil.copytree(written.folder, tmp_path, dirs_exist_ok=True)
    return Place(tmp_path)


def test_what_is_sound_is_left_as_it_is(place: Place) -> None:
    before = {each: each.read_bytes() for each in place.folder.iterdir()}
    assert place.recover() is None
    assert {each: each.read_bytes() for each in place.folder.iterdir()} == before
    assert place.rows() == 43_000


def test_a_damaged_write_ahead_log_is_set_aside_and_the_last_checkpoint_opens(place: Place) -> None:
    log = wal.beside(place.warehouse)
    place.flip(log.stat().st_size // 2, of=log)
    with pytest.raises(DamagedError, match="WAL"):
        open_writer(place.warehouse)
    found = place.recover()
    assert found is not None
    assert found.damage.part is Part.WAL
    assert [each.name for each in found.aside] == ["warehouse.duckdb.wal.damaged-20260302T120000Z"]
    assert place.rows() == 40_000
    assert place.recover() is None


def test_a_damaged_file_is_set_aside_with_its_log_and_the_replica_takes_its_place(place: Place) -> None:
    place.damage()
    found = place.recover()
    assert found is not None
    assert found.damage.part is Part.FILE
    assert place.names() == {
        "warehouse.duckdb",
        "replica.duckdb",
        "warehouse.duckdb.damaged-20260302T120000Z",
        "warehouse.duckdb.wal.damaged-20260302T120000Z",
    }
    assert str(place.folder / "warehouse.duckdb.damaged-20260302T120000Z") in str(found)
    assert place.rows() == 40_000
    assert aside(place.warehouse) == sorted(found.aside, key=aside(place.warehouse).index)


@pytest.mark.parametrize("content", [b"", bytes(50_000)])
def test_a_file_that_a_power_cut_emptied_is_damaged(place: Place, content: bytes) -> None:
    place.warehouse.write_bytes(content)
    assert place.recover() is not None
    assert place.rows() == 40_000


def test_a_warehouse_that_is_not_there_is_made_from_the_replica(place: Place) -> None:
    for each in (place.warehouse, wal.beside(place.warehouse)):
        each.unlink()
    assert place.recover() is not None
    assert place.rows() == 40_000


def test_without_a_good_replica_a_new_warehouse_is_begun_and_both_are_kept_aside(place: Place) -> None:
    place.damage()
    place.flip(20, of=place.replica)
    found = place.recover()
    assert found is not None
    assert "holdtime replay" in str(found)
    assert "holdtime reconcile" in str(found)
    assert len(found.aside) == 3
    assert not place.replica.exists()
    assert not place.warehouse.exists()
    assert place.rows() == 0


def test_a_wrong_checksum_of_a_block_that_is_not_in_use_is_no_damage(place: Place) -> None:
    with closing(open_writer(place.warehouse)) as db:
        for table in ("first", "second"):
            db.execute(f"create table {table} as select uuid() from range(60_000)")
            db.execute("checkpoint")
        db.execute("drop table first")
        db.execute("checkpoint")
        free = value(db, "select free_blocks from pragma_database_size() where database_name = current_database()")
    assert free > 0
    content = place.warehouse.read_bytes()
    for block in reversed(range((len(content) - 3 * 4_096) // 262_144)):
        place.warehouse.write_bytes(content)
        place.flip(3 * 4_096 + block * 262_144 + 99)
        descriptor = os.open(place.warehouse, os.O_RDONLY)
        assert len(mismatches(descriptor)) == 1
        os.close(descriptor)
        if examine(place.warehouse) is None:
            break
    else:
        pytest.fail("every block is in use")
    assert examine(place.warehouse, insists=True) is not None, "DuckDB complained of it twice"


def test_nobody_is_disturbed_who_has_the_file_open(place: Place) -> None:
    hold = (
        "import duckdb, sys; db = duckdb.connect(sys.argv[1], read_only=True); print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(place.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"1\n"
        place.flip(3 * 4_096 + 262_144 + 777)
        with pytest.raises(LockedError):
            place.recover()
    assert "warehouse.duckdb" in place.names()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_without_room_for_a_copy_everything_stays_where_it_is(place: Place) -> None:
    place.damage()
    before = place.names()
    with files_of_at_most(300_000), pytest.raises(UnavailableError) as told:
        place.recover()
    assert trouble(told.value) is Trouble.DISK_FULL
    assert "File too large: raise the limit on the size of files" in str(told.value)
    assert place.names() == before
    assert place.recover() is not None
    assert place.rows() == 40_000


def test_a_full_disk_is_not_taken_for_damage(place: Place) -> None:
    with files_of_at_most(100_000):
        with pytest.raises(UnavailableError) as told:
            open_writer(place.warehouse)
        assert trouble(told.value) is Trouble.DISK_FULL
        assert place.recover() is None
    assert place.rows() == 43_000


def test_what_damages_every_new_file_is_not_given_one_after_the_other(place: Place) -> None:
    for number in range(MOST):
        place.flip(20)
        assert place.recover(NOW + timedelta(minutes=number)) is not None
    place.flip(20)
    left = place.names()
    with pytest.raises(DamagedError, match=r"4th time within an hour.*memory"):
        place.recover(NOW + timedelta(minutes=30))
    assert place.names() == left
    assert place.recover(NOW + timedelta(minutes=61)) is not None


@pytest.mark.parametrize(("renames", "replica_is_good"), [(1, True), (2, True), (2, False)])
def test_killed_at_any_step_the_next_one_goes_on(place: Place, renames: int, *, replica_is_good: bool) -> None:
    place.damage()
    if not replica_is_good:
        place.flip(20, of=place.replica)
    subprocess.run(
        [sys.executable, "-c", RECOVERS, str(place.warehouse), str(place.replica), str(renames)], check=False
    )
    place.recover(NOW + timedelta(seconds=1))
    assert place.rows() == (40_000 if replica_is_good else 0)
    assert "warehouse.duckdb.restoring" not in place.names()


def test_every_flip_of_a_bit_is_found_or_changes_nothing(place: Place) -> None:
    """Places of the file and of its log: what DuckDB then reads is what was written, or is found."""
    rng = random.Random(2)
    kept = {path: path.read_bytes() for path in (place.warehouse, wal.beside(place.warehouse))}
    for _ in range(6):
        for path, content in kept.items():
            path.write_bytes(content)
        struck = rng.choice(list(kept))
        place.flip(rng.randrange(len(kept[struck])), of=struck)
        if examine(place.warehouse) is None:
            with closing(open_reader(place.warehouse)) as db:
                assert value(db, COUNT) in {40_000, 41_000, 42_000, 43_000}
