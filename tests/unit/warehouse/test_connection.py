"""What is let near DuckDB: plain paths of DuckDB files, and nothing that makes it look for anything else."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.connection import attach, in_memory, name_fault, require_duckdb
from warehouse.database import open_reader, open_writer
from warehouse.errors import DamagedError, LockedError, WarehouseError
from warehouse.query import value

ELSEWHERE = ["md:center", "postgres:dbname=x", "s3://bucket/x.duckdb", "http://127.0.0.1:9/x.duckdb", "sqlite:x.db"]

OPENS = """
import pathlib, sys
from warehouse.database import open_reader, open_writer
from warehouse.errors import WarehouseError
for opening in (open_writer, open_reader):
    try:
        opening(pathlib.Path(sys.argv[1]))
    except WarehouseError as error:
        print(error)
"""

HOLDS = """
import duckdb, sys
db = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("name", [*ELSEWHERE, "", ":memory:"])
def test_a_name_that_is_no_path_is_refused_before_duckdb_sees_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    if name in ELSEWHERE:
        assert name_fault(str(path)) is not None
        for opening in (open_writer, open_reader):
            with pytest.raises(WarehouseError, match="is no path"):
                opening(path)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["sqlite", "parquet", "text", "md"])
def test_a_file_of_another_kind_makes_duckdb_fetch_nothing(tmp_path: Path, kind: str) -> None:
    home, name = tmp_path / "home", str(tmp_path / "some.db")
    home.mkdir()
    if kind == "sqlite":
        with sqlite3.connect(name) as db:
            db.execute("create table t (i integer)")
        db.close()
    elif kind == "md":
        name = "md:center"
    else:
        Path(name).write_bytes({"parquet": b"PAR1" * 10_000, "text": b"a,b\n1,2\n"}[kind])
    ended = subprocess.run(
        [sys.executable, "-c", OPENS, name],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "HOME": str(home)},
        cwd=tmp_path,
    )
    assert len(ended.stdout.splitlines()) == 2, ended.stdout
    assert list(home.iterdir()) == []


def test_no_connection_can_load_what_it_does_not_have() -> None:
    with in_memory() as db:
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions", "allow_community_extensions"):
            assert value(db, f"select current_setting('{setting}')") is False


def test_all_of_holdtime_opens_duckdb_in_one_place() -> None:
    root = Path(__file__).parents[3]
    opening = {
        str(file.relative_to(root))
        for folder in ("holdtime", "ingest", "processors", "reports", "warehouse")
        for file in (root / folder).rglob("*.py")
        if "duckdb.connect(" in file.read_text()
    }
    assert opening == {"warehouse/connection.py"}


@pytest.mark.parametrize("content", [b"", bytes(20_000)])
def test_what_a_power_cut_leaves_is_damage_and_no_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"warehouse\.duckdb is damaged"):
        require_duckdb(path)


def test_a_warehouse_with_damaged_magic_bytes_is_damaged_and_no_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    open_writer(path).close()
    content = path.read_bytes()
    path.write_bytes(content[:8] + b"DOCK" + content[12:])
    with in_memory() as db, pytest.raises(DamagedError):
        attach(db, path, "w")


def test_a_dashboard_that_holds_the_warehouse_is_named(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    open_writer(path).close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as dashboard:
        assert dashboard.stdout is not None
        assert dashboard.stdout.readline() == b"open\n"
        with pytest.raises(LockedError) as told:
            open_writer(path)
    assert not told.value.by_holdtime
    assert f"held by process {dashboard.pid} (python" in str(told.value)
    assert "dashboard" in str(told.value)
    assert "HOLDTIME_REPLICA" in str(told.value)
