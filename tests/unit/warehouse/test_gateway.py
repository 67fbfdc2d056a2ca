"""The gateway: a dashboard that opened it once, and keeps it open, sees every replica."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from warehouse.database import open_writer
from warehouse.errors import UnavailableError
from warehouse.gateway import Gateway
from warehouse.query import value
from warehouse.replica import Publisher

PRIVATE = "select table_name from duckdb_tables() union select view_name from duckdb_views() where not internal"


@dataclass
class Place:
    """A warehouse that is published, with its gateway."""

    folder: Path
    db: duckdb.DuckDBPyConnection
    publisher: Publisher

    @property
    def live(self) -> Path:
        return self.folder / "live.duckdb"

    def add(self, many: int) -> None:
        self.db.execute("insert into bridged_connections select uuid() from range(?)", [many])
        self.publisher.publish()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    db = open_writer(tmp_path / "warehouse.duckdb")
    replica = tmp_path / "replica.duckdb"
    gateway = Gateway(tmp_path / "live.duckdb", replica)
    yield Place(tmp_path, db, Publisher(db, tmp_path / "warehouse.duckdb", replica, gateway=gateway))
    db.close()


def test_an_open_connection_sees_every_replica(place: Place) -> None:
    place.add(1)
    with duckdb.connect(str(place.live), read_only=True) as dashboard:
        seen = []
        for more in (1, 5, 2):
            seen.append(value(dashboard, "select count(*) from bridged_connections"))
            place.add(more)
        seen.append(value(dashboard, "select count(*) from bridged_connections"))
    assert seen == [1, 2, 7, 9]


def test_it_has_all_tables_and_views_of_the_warehouse_with_their_comments_and_no_row_of_its_own(place: Place) -> None:
    place.add(1)
    commented = "select table_name, column_name, comment from duckdb_columns() where not internal order by all"
    here = "select database_name from duckdb_tables() where database_name = 'live'"
    with duckdb.connect(str(place.live), read_only=True) as gateway:
        names = {name for (name,) in gateway.execute(PRIVATE).fetchall()}
        assert gateway.execute(here).fetchall() == []
        with closing(duckdb.connect(str(place.folder / "replica.duckdb"), read_only=True)) as replica:
            assert names == {name for (name,) in replica.execute(PRIVATE).fetchall()}
            assert gateway.execute(commented).fetchall() == replica.execute(commented).fetchall()
        for name in names:
            gateway.execute(f'select * from "{name}" limit 1').fetchall()


def test_it_is_written_once_for_each_process_and_nobody_may_write_it(place: Place) -> None:
    place.add(1)
    first = place.live.stat()
    place.add(1)
    assert place.live.stat() == first
    assert stat.S_IMODE(first.st_mode) == 0o400
    assert {each.name for each in place.folder.iterdir()} >= {"live.duckdb", "replica.duckdb"}
    assert not [each for each in place.folder.iterdir() if "unfinished" in each.name]


def test_a_relative_path_is_relative_to_the_readers_folder(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    place.publisher.gateway = Gateway(place.live, Path("replica.duckdb"))
    place.add(3)
    moved = place.folder / "elsewhere"
    moved.mkdir()
    for name in ("live.duckdb", "replica.duckdb"):
        os.rename(place.folder / name, moved / name)
    monkeypatch.chdir(moved)
    with duckdb.connect("live.duckdb", read_only=True) as dashboard:
        assert value(dashboard, "select count(*) from bridged_connections") == 3


def test_where_it_cannot_be_written_the_replica_is_published_all_the_same(place: Place) -> None:
    place.live.mkdir()
    with pytest.raises((UnavailableError, OSError), match=r"live\.duckdb"):
        place.add(4)
    with duckdb.connect(str(place.folder / "replica.duckdb"), read_only=True) as replica:
        assert value(replica, "select count(*) from bridged_connections") == 4
    place.live.rmdir()
    place.add(1)
    assert place.live.is_file()
