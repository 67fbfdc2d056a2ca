"""Rebuilding: the same facts from the whole history, or nothing at all."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

import duckdb
import pytest

from processors.landing.landing import Landing
from processors.replay.rebuild import rebuild
from processors.replay.slices import Slicing
from tests.support.builders import (
    FACT_TABLES,
    LATER,
    NOON,
    Warehouse,
    a_batch,
    a_call,
    a_conference,
    bodies,
    opened_warehouse,
)
from tests.support.effort import thinned
from warehouse import tables
from warehouse.database import open_writer
from warehouse.query import value

HOUR = timedelta(hours=1)
HALF_MINUTES = Slicing(events=1, granule=timedelta(seconds=30))

KILLED = """
import os, pathlib, sys
from datetime import timedelta
from processors.replay.rebuild import rebuild
from processors.replay.slices import Slicing
from warehouse.database import open_writer

class Doomed:
    left = int(sys.argv[2])

    def __init__(self, db):
        self.db = db

    def __getattr__(self, name):
        Doomed.left -= 1
        if Doomed.left < 0:
            os._exit(9)  # no rollback, no checkpoint, nothing closed
        return getattr(self.db, name)

    def cursor(self):
        return Doomed(self.db.cursor())

for _ in rebuild(Doomed(open_writer(pathlib.Path(sys.argv[1]))), slicing=Slicing(1, timedelta(seconds=30))):
    pass
"""


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with opened_warehouse() as opened:
        opened.land(
            a_call("ann").queued(at=NOON).answered(after=41, ringing=2).talked(300),
            a_call("bob").queued(at=NOON),
            a_conference().created().joined("ann", 1).floor("ann", 2).left("ann", 60).ended(61),
        )
        yield opened


def test_a_rebuild_mends_what_somebody_broke(warehouse: Warehouse) -> None:
    before = warehouse.facts()
    warehouse.db.execute("update queue_visits set outcome = 'left', wait_ms = 0")
    warehouse.db.execute("delete from conferences")
    warehouse.db.execute("insert into participant_stays from participant_stays")
    warehouse.db.execute("insert into bridged_connections values ('never heard of')")
    assert warehouse.facts() != before
    warehouse.rebuild()
    assert warehouse.facts() == before
    assert warehouse.rows("bridged_connections") == [("2963572552552678752",)]


def test_a_rebuild_that_is_not_finished_changes_nothing_and_blocks_nothing(warehouse: Warehouse) -> None:
    before = warehouse.facts()
    rebuilding = rebuild(warehouse.db, longest_wait=HOUR)
    assert [next(rebuilding), next(rebuilding)] == [(0, 10), (10, 10)]
    rebuilding.close()
    assert warehouse.facts() == before
    assert warehouse.land(a_call("cy").queued(at=NOON)).events == 1


def test_a_rebuild_goes_on_where_another_was_left(warehouse: Warehouse) -> None:
    before = warehouse.facts()
    undisturbed = list(rebuild(warehouse.db, slicing=HALF_MINUTES))
    assert len(undisturbed) > 4
    left = rebuild(warehouse.db, slicing=HALF_MINUTES)
    assert list(islice(left, 3)) == undisturbed[:3]
    left.close()
    assert list(rebuild(warehouse.db, slicing=HALF_MINUTES)) == undisturbed[2:]
    assert warehouse.facts() == before


@pytest.mark.parametrize("changed", ["longest_wait", "landed", "time"])
def test_a_rebuild_on_another_basis_begins_anew(warehouse: Warehouse, changed: str) -> None:
    list(islice(rebuild(warehouse.db, slicing=HALF_MINUTES), 3))
    if changed == "landed":
        warehouse.land(a_call("cy").queued(at=NOON))
    if changed == "time":
        warehouse.land(now=LATER + HOUR)
    again = rebuild(
        warehouse.db, slicing=HALF_MINUTES, longest_wait=timedelta(hours=1 if changed == "longest_wait" else 24)
    )
    assert next(again)[0] == 0
    again.close()


def test_what_was_rebuilt_is_a_table_like_the_one_before(warehouse: Warehouse) -> None:
    warehouse.db.execute("comment on table queue_visits is 'one row: a visit''s'")
    warehouse.db.execute("comment on column queue_visits.position_in is 'it''s'")
    made = """
        select tables.sql, tables.comment, list((column_name, columns.comment) order by column_index)
        from duckdb_tables() as tables join duckdb_columns() as columns using (table_oid, database_oid)
        where not tables.temporary
        group by all
        order by all
    """
    before = warehouse.db.execute(made).fetchall()
    warehouse.rebuild()
    assert warehouse.db.execute(made).fetchall() == before


def test_rebuilt_facts_of_what_is_over_are_in_time_order() -> None:
    with opened_warehouse() as warehouse:
        warehouse.land(*(a_call(f"leg-{n}").queued(at=NOON + 7 * n % 30 * HOUR).abandoned(after=5) for n in range(30)))
        for _ in rebuild(warehouse.db, slicing=HALF_MINUTES):
            pass
        began = warehouse.db.execute("select entity_since from queue_visits order by rowid").fetchall()
    assert began == sorted(began)


def test_a_rebuild_killed_anywhere_shows_all_of_it_or_nothing_and_is_gone_on_with(tmp_path: Path) -> None:
    made = tmp_path / "made.duckdb"
    db = open_writer(made)
    Landing(db).land(
        a_batch(
            bodies(
                a_call("ann").queued(at=NOON).answered(after=41, ringing=2).talked(300),
                a_conference(start=NOON + 48 * HOUR).created().joined("ann", 1).left("ann", 60).ended(61),
            )
        ),
        LATER,
    )
    wanted = facts(db)
    for table in FACT_TABLES:
        db.execute(f"delete from {table}")
    broken = facts(db)
    db.close()
    seen = set()
    for statement in thinned((1, 60, 180, 210, 240, 255, 270, 285, 300, 315, 330, 345, 500), 2):
        path = tmp_path / f"{statement}.duckdb"
        shutil.copy(made, path)
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(statement)], check=False, capture_output=True
        )
        assert ended.returncode in {0, 9}, ended.stderr
        db = open_writer(path)
        found = facts(db)
        assert found in (broken, wanted)
        begun = "rebuilding" in tables.names(db)
        seen.add((found == wanted, begun and value(db, "select max(events) > 0 from rebuilding")))
        for _ in rebuild(db, slicing=HALF_MINUTES):
            pass
        assert facts(db) == wanted
        db.close()
    assert seen == {(False, False), (False, True), (True, False)}, "it was not killed where it matters"


def facts(db: duckdb.DuckDBPyConnection) -> list[list[tuple[object, ...]]]:
    return [sorted(db.execute(f"from {table}").fetchall(), key=repr) for table in FACT_TABLES]


def test_landing_goes_on_after_a_rebuild(warehouse: Warehouse) -> None:
    warehouse.rebuild()
    warehouse.land(a_call("bob", at=NOON).queued(at=NOON).hung_up(after=30).events[1])
    assert {visit["outcome"] for visit in warehouse.dicts("queue_visits")} == {"answered", "abandoned"}


def test_facts_of_another_longest_wait_are_refused_until_they_are_rebuilt(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match=r"86400000 ms.*3600000 ms.*holdtime rebuild"):
        Landing(warehouse.db, longest_wait=HOUR)
    for _ in rebuild(warehouse.db, longest_wait=HOUR):
        pass
    assert [visit["outcome"] for visit in warehouse.dicts("queue_visits")] == ["answered", "unknown"]
    Landing(warehouse.db, longest_wait=HOUR)


def test_a_rebuild_of_nothing_leaves_nothing() -> None:
    with opened_warehouse() as empty:
        assert list(rebuild(empty.db)) == [(0, 0)]
        assert not any(empty.facts().values())


def test_a_rebuild_judges_by_the_clock_of_the_last_landing(warehouse: Warehouse) -> None:
    warehouse.land(now=LATER + 24 * HOUR)
    before = warehouse.facts()
    assert {visit["outcome"] for visit in warehouse.dicts("queue_visits")} == {"answered", "unknown"}
    warehouse.rebuild()
    assert warehouse.facts() == before
