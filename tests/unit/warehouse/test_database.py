"""Opening the warehouse: once for writing, by anybody for reading, and by nobody for anything else."""

import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from processors.landing.landing import Landing
from tests.support.builders import (
    LATER,
    NOON,
    a_batch,
    a_call,
    bodies,
)
from warehouse.database import SCHEMA_VERSION, create_tables, open_reader, open_writer
from warehouse.errors import WarehouseError
from warehouse.query import value

TABLES = {
    "bridged_connections",
    "calls",
    "conferences",
    "contradictions",
    "fact_definitions",
    "legs_without_control",
    "open_entities",
    "participant_joins",
    "stray_events",
    "told_twice",
    "stored_events",
    "log_positions",
    "participant_stays",
    "playbacks",
    "queue_definitions",
    "queue_visits",
    "recordings",
    "better_origins",
    "rejected",
    "undated_events",
    "warehouse",
}

HOLD = """
import pathlib, sys
from warehouse.database import open_writer
db = open_writer(pathlib.Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
db.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "it's.duckdb"


def tables(db: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in db.execute("select table_name from duckdb_tables() where not internal").fetchall()}


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        yield


def test_a_new_warehouse_has_its_tables_and_belongs_to_its_owner_alone(path: Path) -> None:
    db = open_writer(path)
    assert tables(db) == TABLES
    assert db.execute("from warehouse").fetchall() == [(SCHEMA_VERSION, None, None, None)]
    db.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_warehouse_opened_again_holds_what_it_held(path: Path) -> None:
    db = open_writer(path)
    Landing(db).land(a_batch(bodies(a_call().queued(at=NOON))), LATER)
    db.close()
    again = open_writer(path)
    assert value(again, "select outcome from queue_visits") == "waiting"
    assert Landing(again).positions() == {0: 1}
    again.close()
    reader = open_reader(path)
    assert value(reader, "select outcome from queue_visits") == "waiting"
    reader.close()


def test_a_warehouse_left_without_closing_is_whole(path: Path) -> None:
    script = HOLD.replace(
        "sys.stdin.read()", "db.execute(\"insert into bridged_connections values ('c')\"); import os; os._exit(9)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(path)], check=False, capture_output=True)
    assert ended.returncode == 9
    db = open_writer(path)
    assert value(db, "select connection_id from bridged_connections") == "c"
    db.close()


def test_a_second_writer_is_told_to_read_the_replica(path: Path) -> None:
    open_writer(path).close()
    with held_by_another_process(path):
        for opening in (open_writer, open_reader):
            with pytest.raises(WarehouseError) as told:
                opening(path)
            text = str(told.value)
            assert str(path) in text
            assert "replica" in text
            assert "HOLDTIME_REPLICA" in text
            assert "or stop the other" in text


def test_a_reader_of_nothing_is_told_what_makes_it(path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"holdtime up.*HOLDTIME_REPLICA"):
        open_reader(path)
    assert not path.exists()
    assert not path.parent.exists()


@pytest.mark.parametrize("opening", [open_writer, open_reader])
@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\0" + bytes(4096), b"x" * 20_000])
def test_a_file_of_another_kind_is_left_as_it_is(
    tmp_path: Path, opening: Callable[[Path], object], content: bytes
) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_bytes(content)
    with pytest.raises(WarehouseError, match=r"notes\.txt"):
        opening(foreign)
    assert foreign.read_bytes() == content


@pytest.mark.parametrize("opening", [open_writer, open_reader])
@pytest.mark.parametrize("storage", ["v1.2.0", "latest"])
def test_somebody_elses_database_is_not_taken_for_a_warehouse(
    tmp_path: Path, storage: str, opening: Callable[[Path], object]
) -> None:
    foreign = tmp_path / "sales.duckdb"
    with duckdb.connect() as db:
        db.execute(f"attach '{foreign}' as sales (storage_version '{storage}')")
        db.execute("create table sales.invoices (id integer)")
    foreign.chmod(0o640)
    with pytest.raises(WarehouseError, match=r"sales\.duckdb (is not a|cannot be opened as a) .*warehouse"):
        opening(foreign)
    assert stat.S_IMODE(foreign.stat().st_mode) == 0o640
    with duckdb.connect(foreign) as db:
        assert tables(db) == {"invoices"}


@pytest.mark.parametrize("opening", [open_writer, open_reader])
def test_a_schema_of_another_version_is_refused_with_both_versions(
    path: Path, opening: Callable[[Path], object]
) -> None:
    db = open_writer(path)
    db.execute("update warehouse set schema_version = 99")
    db.close()
    with pytest.raises(WarehouseError, match=rf"99.*{SCHEMA_VERSION}"):
        opening(path)
    with duckdb.connect(path) as left_closed:
        assert value(left_closed, "select schema_version from warehouse") == 99


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('{secret}')",
        "select * from read_text('{secret}')",
        "select * from '{secret}'",
        "copy (select 1) to '{folder}/out.csv'",
        "attach '{folder}/other.duckdb'",
        "export database '{folder}/out'",
        "install httpfs",
        "load httpfs",
        "select * from read_csv('http://127.0.0.1:9/x.csv')",
        "set enable_external_access = true",
        "set autoload_known_extensions = true",
        "set timezone = 'Europe/Athens'",
        "reset timezone",
    ],
)
@pytest.mark.parametrize("opening", [open_writer, open_reader])
def test_a_query_reaches_nothing_but_the_warehouse(
    tmp_path: Path, path: Path, statement: str, opening: Callable[[Path], duckdb.DuckDBPyConnection]
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    open_writer(path).close()
    db = opening(path)
    with pytest.raises(duckdb.Error):
        db.execute(statement.format(secret=secret, folder=tmp_path)).fetchall()
    db.close()
    assert {each.name for each in tmp_path.iterdir()} == {"secret.csv", path.parent.name}


def test_a_reader_writes_nothing(path: Path) -> None:
    open_writer(path).close()
    db = open_reader(path)
    with pytest.raises(duckdb.Error, match="read-only"):
        db.execute("delete from stored_events")
    db.close()


def test_times_are_in_utc_wherever_the_machine_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    db = open_writer(path)
    assert value(db, "select timestamptz '2026-02-03 12:00:00' = timestamptz '2026-02-03 12:00:00+00'") is True
    db.close()


def test_tables_are_made_wholly_or_not_at_all() -> None:
    db = duckdb.connect()
    db.execute("create table rejected (x integer)")
    with pytest.raises(duckdb.CatalogException):
        create_tables(db)
    db.rollback()
    assert tables(db) == {"rejected"}
    db.close()
