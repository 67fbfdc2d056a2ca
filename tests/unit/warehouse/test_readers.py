"""Reading in one process: everybody sees the newest file, whatever else is open, and nothing stays open."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from warehouse import readers
from warehouse.database import STORAGE_VERSION, create_tables, open_reader
from warehouse.errors import DamagedError, WarehouseError
from warehouse.query import value

NUMBER = "select schema_version * 0 + (select count(*) from bridged_connections) from warehouse"


def put(path: Path, rows: int) -> None:
    """Publish a replica with so many rows, as the writer does: in one step."""
    new = path.with_name("new.duckdb")
    with duckdb.connect(new, config={"storage_compatibility_version": STORAGE_VERSION}) as db:
        create_tables(db)
        db.execute("insert into bridged_connections select range::varchar from range(?)", [rows])
    new.replace(path)


def held(path: Path) -> int:
    """How many descriptors of files that are, or were, at the path this process has."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(each).removesuffix(" (deleted)") == str(path)
        except FileNotFoundError:
            continue
    return found


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "replica.duckdb"
    put(path, 1)
    yield path
    assert held(path) == 0


def test_readers_with_other_settings_and_connections_beside_them_are_in_nobodys_way(replica: Path) -> None:
    with (
        readers.reading(replica, memory_limit="64MB") as little,
        readers.reading(replica) as much,
        duckdb.connect(replica, read_only=True) as foreign,
    ):
        own = open_reader(replica, memory_limit="100MB")
        for db in (little.db, much.db, own):
            assert value(db, NUMBER) == 1
        assert foreign.execute(NUMBER).fetchall() == [(1,)]
        own.close()


def test_who_opens_sees_the_newest_file_while_others_still_read_older_ones(replica: Path) -> None:
    first = readers.opened(replica)
    put(replica, 2)
    second = readers.opened(replica)
    put(replica, 3)
    with readers.reading(replica) as third:
        assert [value(each.db, NUMBER) for each in (first, second, third)] == [1, 2, 3]
        assert [each.is_of_the_newest() for each in (first, second, third)] == [False, False, True]
        assert first.published_at <= second.published_at <= third.published_at
    for each in (first, second):
        each.close()


def test_readers_of_one_file_share_its_descriptors_and_the_last_lets_go_of_them(replica: Path) -> None:
    first = readers.opened(replica)
    alone = held(replica)
    others = [readers.opened(replica) for _ in range(20)]
    assert held(replica) == alone
    for each in (first, *others[1:]):
        each.close()
    assert value(others[0].db, NUMBER) == 1
    others[0].close()
    assert held(replica) == 0


def test_many_threads_read_while_the_file_is_replaced(replica: Path) -> None:
    def read() -> list[int]:
        seen = []
        for _ in range(15):
            with readers.reading(replica, memory_limit="64MB") as reader:
                seen.append(value(reader.db, NUMBER))
        return seen

    with ThreadPoolExecutor(4) as threads:
        reading = [threads.submit(read) for _ in range(4)]
        for rows in range(2, 12):
            put(replica, rows)
        for each in reading:
            seen = each.result()
            assert seen == sorted(seen)


def test_what_cannot_be_read_is_said_and_leaves_nothing_open(replica: Path) -> None:
    sound = replica.read_bytes()
    replica.unlink()
    with pytest.raises(WarehouseError, match=r"is not there yet.*Start `holdtime up`"):
        readers.opened(replica)
    for content in (b"", sound[:5_000], b"\xff" * 12 + sound[12:]):
        replica.write_bytes(content)
        with pytest.raises((DamagedError, WarehouseError), match=r"is damaged|cannot be opened") as told:
            readers.opened(replica)
        assert "\n" not in str(told.value)
        assert held(replica) == 0
    put(replica, 7)
    with readers.reading(replica) as reader:
        assert value(reader.db, NUMBER) == 7
