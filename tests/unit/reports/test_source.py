"""Opening the warehouse: what it allows, and what it says when it cannot be opened."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from reports.errors import SourceError
from reports.source import Source, opened
from warehouse.database import create_tables


@pytest.fixture
def replica(tmp_path: Path) -> Path:
    path = tmp_path / "replica.duckdb"
    with duckdb.connect(path, config={"storage_compatibility_version": "v1.2.0"}) as db:
        create_tables(db)
        db.execute("insert into log_positions values (0, 41, timestamptz '2026-03-02 12:00:00.25+00')")
        db.execute("insert into log_positions values (1, 7, timestamptz '2026-03-02 11:00:00+00')")
    os.utime(path, (1_772_452_805, 1_772_452_805))
    return path


def test_a_source_tells_how_far_the_log_had_landed_and_how_old_it_is(replica: Path) -> None:
    with opened(replica) as source:
        basis = source.basis()
    assert basis.landed_at == datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
    assert basis.published_at == datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)
    assert basis.positions == ((0, 41), (1, 7))
    assert basis.events == 0


@pytest.mark.parametrize(
    "statement",
    [
        "insert into log_positions values (2, 1, now())",
        "select * from read_csv('/etc/passwd')",
        "copy log_positions to 'out.csv'",
        "attach 'other.duckdb'",
        "set enable_external_access = true",
        "install httpfs",
    ],
)
def test_a_source_can_only_be_read(replica: Path, statement: str) -> None:
    with opened(replica) as source, pytest.raises(duckdb.Error):
        source.db.execute(statement)


def test_a_missing_file_is_answered_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is not there yet.*Start `holdtime up`"), opened(tmp_path / "no.duckdb"):
        pass


def test_another_file_is_not_taken_for_a_warehouse(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("not a database " * 1000)
    with pytest.raises(SourceError, match="cannot be"), opened(tmp_path / "text.duckdb"):
        pass
    duckdb.connect(tmp_path / "other.duckdb").close()
    with pytest.raises(SourceError, match="is not a holdtime warehouse"), opened(tmp_path / "other.duckdb"):
        pass


def test_a_warehouse_that_is_being_written_points_to_the_replica(replica: Path) -> None:
    hold = f"import duckdb; db = duckdb.connect({str(replica)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"held\n"
        with (
            pytest.raises(SourceError, match=r"is locked: held by process .*read the replica"),
            opened(replica),
        ):
            pass
        writer.communicate(b"\n")


def test_a_connection_open_for_writing_here_is_said_to_be(replica: Path) -> None:
    with duckdb.connect(replica) as db:
        with pytest.raises(SourceError, match="open in this very process"), opened(replica):
            pass
        assert Source(db).basis().published_at is None
