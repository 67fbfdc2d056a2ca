"""The replica: published whole, read by anybody, while the writer goes on."""

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from warehouse.database import open_reader, open_writer
from warehouse.errors import DamagedError, WarehouseError
from warehouse.query import value
from warehouse.replica import Access, Publisher, publish
from warehouse.verify import verify

# A client that knows nothing of holdtime: it opens the file, and counts whenever it is asked to.
CLIENT = """
import duckdb, sys
db = duckdb.connect(sys.argv[1], read_only=True)
for _ in sys.stdin:
    print(db.execute("select count(*) from bridged_connections").fetchall()[0][0], flush=True)
"""


@dataclass
class Client:
    """Somebody who has opened the replica."""

    process: subprocess.Popen[bytes]

    def count(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@dataclass
class Place:
    """A warehouse being written, and where its replica goes."""

    folder: Path
    db: duckdb.DuckDBPyConnection

    @property
    def replica(self) -> Path:
        return self.folder / "public" / "replica.duckdb"

    def add(self, many: int = 1) -> None:
        self.db.execute("insert into bridged_connections select uuid() from range(?)", [many])

    def publish(self) -> None:
        publish(self.db, self.folder / "warehouse.duckdb", self.replica)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    db = open_writer(tmp_path / "warehouse.duckdb")
    yield Place(tmp_path, db)
    db.close()


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    opened: list[Client] = []
    yield opened
    for client in opened:
        with client.process as process:
            assert process.stdin is not None
            process.stdin.close()


def opened_by_a_client(place: Place, clients: list[Client]) -> Client:
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(place.replica)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    clients.append(Client(process))
    return clients[-1]


def test_a_client_has_the_copy_that_it_opened_while_the_writer_goes_on(place: Place, clients: list[Client]) -> None:
    place.add()
    place.publish()
    early = opened_by_a_client(place, clients)
    assert early.count() == 1
    for _ in range(5):
        place.add()
        place.publish()
        assert early.count() == 1, "the copy changed under its reader"
    late = opened_by_a_client(place, clients)
    assert (early.count(), late.count()) == (1, 6)
    assert value(place.db, "select count(*) from bridged_connections") == 6


def test_publishing_lets_no_second_writer_in(place: Place) -> None:
    intruder = "import pathlib, sys, warehouse.database as d; d.open_writer(pathlib.Path(sys.argv[1]))"
    for _ in range(2):
        place.add()
        place.publish()
        ended = subprocess.run(
            [sys.executable, "-c", intruder, place.folder / "warehouse.duckdb"],
            capture_output=True,
            check=False,
            text=True,
        )
        assert "warehouse.duckdb is locked: held by process" in ended.stderr


def test_a_warehouse_that_was_made_anew_under_the_same_name_is_what_is_published(
    place: Place, clients: list[Client]
) -> None:
    place.add()
    place.publish()
    place.db.close()
    (place.folder / "warehouse.duckdb").unlink()
    place.db = open_writer(place.folder / "warehouse.duckdb")
    place.add(7)
    place.publish()
    assert opened_by_a_client(place, clients).count() == 7


def test_what_is_not_committed_is_not_published(place: Place, clients: list[Client]) -> None:
    place.add()
    place.publish()
    place.add()  # committed, and not published
    assert opened_by_a_client(place, clients).count() == 1


def test_the_replica_is_there_at_once_and_nothing_is_left_beside_it(place: Place) -> None:
    for _ in range(3):
        place.add()
        place.publish()
        assert [each.name for each in place.replica.parent.iterdir()] == ["replica.duckdb"]
    assert stat.S_IMODE(place.replica.stat().st_mode) == 0o400


def test_an_unfinished_copy_of_a_process_that_died_is_in_nobodys_way(place: Place, clients: list[Client]) -> None:
    place.replica.parent.mkdir()
    (place.replica.parent / ".replica.duckdb.unfinished").write_bytes(b"x" * 50_000_000)
    place.add()
    place.publish()
    assert opened_by_a_client(place, clients).count() == 1


def test_a_copy_that_there_is_no_room_for_leaves_what_was_published(place: Place, clients: list[Client]) -> None:
    place.add()
    place.publish()
    before = place.replica.stat()
    place.add(100_000)
    place.db.execute("checkpoint")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            place.publish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert place.replica.stat() == before
    assert [each.name for each in place.replica.parent.iterdir()] == ["replica.duckdb"]
    assert opened_by_a_client(place, clients).count() == 1
    place.publish()
    assert opened_by_a_client(place, clients).count() == 100_001


def test_the_replica_is_in_a_format_that_older_clients_open(place: Place) -> None:
    place.add()
    place.publish()
    with duckdb.connect(place.replica, read_only=True) as db:
        tags = value(db, "select tags from duckdb_databases() where database_name = 'replica'")
    assert "v1.2" in str(tags), tags


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def test_a_damaged_warehouse_does_not_replace_the_good_copy(place: Place, clients: list[Client]) -> None:
    place.add()
    place.publish()
    before = place.replica.read_bytes()
    place.add()
    flip(place.folder / "warehouse.duckdb", 20)
    with pytest.raises(DamagedError, match="checksum"):
        place.publish()
    assert place.replica.read_bytes() == before
    assert [each.name for each in place.replica.parent.iterdir()] == ["replica.duckdb"]
    assert opened_by_a_client(place, clients).count() == 1


def test_a_block_that_nothing_uses_keeps_no_copy_from_being_published(place: Place) -> None:
    for table in ("first", "second"):
        place.db.execute(f"create table {table} as select uuid() from range(60_000)")
        place.db.execute("checkpoint")
    place.db.execute("drop table first")
    place.publish()
    warehouse = place.folder / "warehouse.duckdb"
    content = place.replica.read_bytes()
    place.replica.chmod(0o600)
    for at in range(3 * 4_096 + 500, len(content), 262_144):
        place.replica.write_bytes(content)
        flip(place.replica, at)
        if not verify(place.replica, deep=True).damaged:
            break
    else:
        pytest.fail("every block is in use")
    flip(warehouse, at)
    place.publish()
    assert place.replica.read_bytes()[at] == warehouse.read_bytes()[at] != content[at]


def test_a_warehouse_that_lost_its_end_is_not_published(place: Place) -> None:
    place.add(100_000)
    place.publish()
    before = place.replica.stat()
    warehouse = place.folder / "warehouse.duckdb"
    os.truncate(warehouse, warehouse.stat().st_size - 262_144)
    with pytest.raises(DamagedError, match="expected blocks of"):
        place.publish()
    assert place.replica.stat() == before


def test_nobody_may_write_what_is_published(place: Place) -> None:
    place.add()
    place.publish()
    assert stat.S_IMODE(place.replica.stat().st_mode) == 0o400
    access = Access(0o440, os.getegid())
    Publisher(place.db, place.folder / "warehouse.duckdb", place.replica, access).publish()
    found = place.replica.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o440, os.getegid())


# As a program does that opens a database for writing, commits, and is killed.
WRITER = """
import duckdb, os, sys
db = duckdb.connect(sys.argv[1])
db.execute("set wal_autocheckpoint = '1TB'")
db.execute("delete from bridged_connections")
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can open it for writing")
def test_what_another_program_wrote_is_read_by_nobody(place: Place) -> None:
    place.add(7)
    place.publish()
    subprocess.run([sys.executable, "-c", WRITER, str(place.replica)], check=False)
    log = place.replica.with_name("replica.duckdb.wal")
    assert log.exists(), "the writer left nothing, so nothing was tried"
    with pytest.raises(WarehouseError, match=r"replica\.duckdb\.wal is no part of .*`holdtime up` removes it"):
        open_reader(place.replica)
    place.add(2)
    place.publish()
    assert not log.exists()
    with closing(open_reader(place.replica)) as db:
        assert value(db, "select count(*) from bridged_connections") == 9


def test_a_publisher_says_what_was_done_to_the_file_that_it_put_out(place: Place) -> None:
    publisher = Publisher(place.db, place.folder / "warehouse.duckdb", place.replica)
    assert publisher.spoiled() is None
    publisher.publish()
    assert publisher.spoiled() is None
    log = place.replica.with_name("replica.duckdb.wal")
    log.write_bytes(b"somebody's")
    assert "its write-ahead log was removed" in (publisher.spoiled() or "")
    assert (log.exists(), publisher.spoiled()) == (False, None)
    place.replica.chmod(0o600)
    with place.replica.open("r+b") as file:
        file.write(b"\0")
    assert "wrote into" in (publisher.spoiled() or "")
    place.replica.unlink()
    assert "was removed" in (publisher.spoiled() or "")
    publisher.publish()
    assert publisher.spoiled() is None


def test_a_copy_that_a_killed_process_left_half_made_is_no_hindrance(place: Place) -> None:
    left = place.replica.with_name(".replica.duckdb.unfinished")
    left.parent.mkdir()
    left.write_bytes(b"half")
    left.chmod(0o400)
    place.publish()
    assert not left.exists()
