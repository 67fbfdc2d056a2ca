"""Bringing an older warehouse up to date: on what older code really wrote, and wherever it is interrupted."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventlog.batch import Batch
from processors.landing.landing import Landing
from processors.replay.migration import migrate, open_current
from processors.replay.slices import Slicing
from tests.support.builders import (
    LATER,
    NOON,
    a_batch,
    a_call,
    bodies,
)
from tests.support.effort import thinned
from warehouse import tables
from warehouse.database import SCHEMA_VERSION, open_reader, open_writer
from warehouse.errors import OutdatedError, WarehouseError
from warehouse.query import value

FIXTURES = Path(__file__).parents[3] / "fixtures"
QUARTERS = Slicing(events=100, granule=timedelta(minutes=15))

KILLED = """
import os, pathlib, sys
from datetime import timedelta
from processors.replay import migration
from processors.replay.slices import Slicing

class Doomed:
    left = int(sys.argv[2])

    def __init__(self, db):
        self.db = db

    def __getattr__(self, name):
        Doomed.left -= 1
        if Doomed.left < 0:
            os._exit(9)  # no rollback, no checkpoint, nothing closed
        return getattr(self.db, name)

opened = migration.open_successor
migration.open_successor = lambda *path, **more: Doomed(opened(*path, **more))
quarters = Slicing(events=100, granule=timedelta(minutes=15))
for _ in migration.migrate(pathlib.Path(sys.argv[1]), rereading=quarters, rebuilding=quarters):
    pass
"""


OLDER = sorted(FIXTURES.glob("warehouse-v*.duckdb"))
STATEMENTS = (1, 8, 30, 60, 150)
"""At which a migration is killed: every day each in one of the older versions, in a campaign each in all."""


@pytest.fixture(params=OLDER, ids=lambda path: str(path.stem))
def made(request: pytest.FixtureRequest) -> Path:
    """A warehouse that older code made."""
    return Path(request.param)


@pytest.fixture
def older(tmp_path: Path, made: Path) -> Path:
    """A copy of it."""
    path = tmp_path / "warehouse.duckdb"
    shutil.copy(made, path)
    return path


@cache
def wanted_of(made: Path) -> dict[str, list[Any]]:
    """What landing its records afresh gives, landed once a version; not to be changed."""
    with tempfile.TemporaryDirectory() as folder:
        return landed_afresh(made, Path(folder) / "afresh.duckdb")


def everything(db: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """Every row of every table but what only tells where to look, which may name more than it must."""
    queries = {name: f"from {name}" for name in sorted(tables.names(db) - {"open_entities"})}
    queries["warehouse"] = "select * exclude (open_before) from warehouse"
    return {name: sorted(db.execute(query).fetchall(), key=repr) for name, query in queries.items()}


def landed_afresh(older: Path, path: Path) -> dict[str, list[Any]]:
    """What a new warehouse holds when the records behind an older one are landed by present code."""
    with duckdb.connect(older, read_only=True) as db:
        records = db.execute(
            """
            select
                log_partition, log_offset, epoch_us(received_at), origin, verified, null as rejection, encode(body),
                stored_at
            from stored_events
            union all
            select
                log_partition, log_offset, epoch_us(received_at), origin, verified, if(reason = 'stale', reason, null),
                body, stored_at
            from rejected
            order by log_offset
            """
        ).fetchall()
    db = open_writer(path)
    landing = Landing(db)
    for now in sorted({stored_at for *_, stored_at in records}):
        columns = zip(*(record[:-1] for record in records if record[-1] == now), strict=True)
        names = ("partitions", "offsets", "received_us", "origins", "verified", "rejections", "bodies")
        landing.land(Batch.of(**dict(zip(names, columns, strict=True))), now)
    found = everything(db)
    db.close()
    return found


def migrated(path: Path) -> dict[str, list[Any]]:
    db = open_current(path, on_progress=lambda done, total: None)
    found = everything(db)
    db.close()
    return found


def test_an_older_warehouse_becomes_what_landing_its_records_afresh_gives(
    older: Path, made: Path, tmp_path: Path
) -> None:
    wanted = wanted_of(made)
    assert migrated(older) == wanted
    assert wanted["queue_visits"]
    assert wanted["rejected"]
    assert wanted["undated_events"]
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"]


def test_a_migrated_warehouse_has_the_tables_of_a_new_one_and_landing_goes_on(older: Path, tmp_path: Path) -> None:
    made = "select sql from duckdb_tables() where database_name = current_database() order by all"
    db = open_writer(tmp_path / "new.duckdb")
    wanted = db.execute(made).fetchall()
    db.close()
    db = open_current(older, on_progress=lambda done, total: None)
    assert db.execute(made).fetchall() == wanted
    landing = Landing(db)
    (end,) = landing.positions().values()
    assert landing.land(a_batch(bodies(a_call("new").queued(at=NOON)), first_offset=end + 1), LATER).events == 1
    db.close()
    assert older.stat().st_mode & 0o777 == 0o600


def test_what_older_code_read_otherwise_is_read_anew(older: Path, made: Path) -> None:
    wanted = wanted_of(made)
    with duckdb.connect(older) as db:
        db.execute("update stored_events set queue = null, call_leg_id = 'x', entity = event_id, event_type = 'call.x'")
        db.execute("alter table stored_events drop column reason")
        db.execute("drop table conferences")
        db.execute("delete from queue_visits")
        db.execute("delete from undated_events")
    assert migrated(older) == wanted


def test_a_join_that_carries_the_legs_id_alone_is_migrated_as_one_of_its_leg(older: Path, tmp_path: Path) -> None:
    with duckdb.connect(older) as db:
        changed = value(
            db,
            """
            update stored_events set body = replace(body, '"call_control_id"', '"not_there"')
            where event_type = 'conference.participant.joined' and call_leg_id is not null
            """,
        )
    assert changed
    wanted = landed_afresh(older, tmp_path / "afresh.duckdb")
    found = migrated(older)
    assert found == wanted
    assert len(found["participant_joins"]) >= changed


def test_what_present_code_cannot_read_is_rejected_with_its_bytes(older: Path) -> None:
    with duckdb.connect(older) as db:
        events, rejected = (value(db, f"select count(*) from {table}") for table in ("stored_events", "rejected"))
        db.execute("update stored_events set body = '{\"data\":{}}' where log_offset = 1")
    db = open_current(older, on_progress=lambda done, total: None)
    assert value(db, "select count(*) from stored_events") == events - 1
    assert value(db, "select count(*) from rejected") == rejected + 1
    assert db.execute("select reason, decode(body) from rejected where log_offset = 1").fetchall() == [
        ("no_event_id", '{"data":{}}')
    ]
    db.close()


def test_what_is_in_the_write_ahead_log_of_an_older_warehouse_is_not_lost(older: Path) -> None:
    script = f'import duckdb, os; db = duckdb.connect({str(older)!r}); db.execute("delete from rejected"); os._exit(9)'
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert older.with_name("warehouse.duckdb.wal").exists()
    assert migrated(older)["rejected"] == []


def test_progress_is_told_from_nothing_to_everything(older: Path) -> None:
    told: list[tuple[int, int]] = []
    open_current(older, on_progress=lambda done, total: told.append((done, total))).close()
    assert told == sorted(told)
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 0


def test_a_migration_goes_on_where_another_was_left(older: Path, made: Path, tmp_path: Path) -> None:
    wanted = wanted_of(made)
    undisturbed = tmp_path / "undisturbed.duckdb"
    shutil.copy(older, undisturbed)
    steps = list(migrate(undisturbed, rereading=QUARTERS, rebuilding=QUARTERS))
    for wait in (2, 1, len(steps) // 2, 1):
        left = migrate(older, rereading=QUARTERS, rebuilding=QUARTERS)
        assert len(list(islice(left, wait))) == wait
        left.close()
    rest = list(migrate(older, rereading=QUARTERS, rebuilding=QUARTERS))
    assert rest == steps[-len(rest) :]
    assert rest[0][0] > 0
    assert migrated(older) == wanted


def test_a_migration_killed_anywhere_leaves_the_old_version_or_the_new_one(
    older: Path, made: Path, tmp_path: Path
) -> None:
    wanted = wanted_of(made)
    seen = set()
    for statement in (*thinned(STATEMENTS, len(OLDER), first=OLDER.index(made)), 10_000):
        path = tmp_path / str(statement) / "warehouse.duckdb"
        path.parent.mkdir()
        shutil.copy(older, path)
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(statement)], check=False, capture_output=True
        )
        assert ended.returncode in {0, 9}, ended.stderr
        with duckdb.connect(path, read_only=True) as db:
            seen.add(version := value(db, "select schema_version from warehouse"))
        if version == SCHEMA_VERSION:
            assert ended.returncode == 0
        assert migrated(path) == wanted
        assert [left.name for left in path.parent.iterdir()] == ["warehouse.duckdb"]
    assert len(seen) == 2


@pytest.mark.parametrize("rest", [b"", b"half a header", bytes(12_288)])
@pytest.mark.parametrize("made", thinned(OLDER, len(OLDER)), ids=lambda path: str(path.stem))
def test_a_file_cut_off_when_it_was_begun_is_begun_anew(older: Path, made: Path, rest: bytes) -> None:
    wanted = wanted_of(made)
    older.with_suffix(".migrating").write_bytes(rest)
    assert migrated(older) == wanted


def test_the_rest_of_a_migration_of_something_else_is_not_gone_on_with(older: Path, tmp_path: Path) -> None:
    left = migrate(older, rereading=QUARTERS)
    list(islice(left, 3))
    left.close()
    with duckdb.connect(older) as db:
        db.execute("delete from stored_events where log_offset % 2 = 0")
    wanted = landed_afresh(older, tmp_path / "afresh.duckdb")
    del wanted["log_positions"]
    found = migrated(older)
    del found["log_positions"]
    assert found == wanted


@pytest.fixture
def held(older: Path) -> Iterator[Path]:
    """An older warehouse that another process has open."""
    script = f"import duckdb, sys; db = duckdb.connect({str(older)!r}); print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield older


def test_a_warehouse_that_another_process_has_is_left_alone(held: Path) -> None:
    with pytest.raises(WarehouseError, match=r"locked.*stop the other"):
        next(migrate(held))
    assert [path.name for path in held.parent.iterdir() if path.suffix != ".wal"] == ["warehouse.duckdb"]


def test_who_opens_an_older_warehouse_without_migrating_is_told_what_to_do(older: Path) -> None:
    before = older.read_bytes()
    with pytest.raises(OutdatedError, match=rf"version \d+.* {SCHEMA_VERSION}.*holdtime up.*holdtime rebuild"):
        open_writer(older)
    with pytest.raises(WarehouseError, match=rf"version \d+.* {SCHEMA_VERSION}.*holdtime up.*publishes a new replica"):
        open_reader(older)
    assert older.read_bytes() == before
