"""Facts as of a position are those of a warehouse that never saw more."""

import json
import random
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from processors.landing.landing import Landing
from processors.replay import as_of
from processors.replay.as_of import UnreachedError
from simulator import (
    Faults,
    Plan,
    deliver,
    simulate,
)
from tests.support.builders import (
    FACT_TABLES,
    NOON,
    a_batch,
    a_call,
    a_conference,
    bodies,
    opened_warehouse,
)
from warehouse.catalog import describe
from warehouse.database import open_writer
from warehouse.scratch import opened_scratch


def landed(path: Path, said: list[bytes], *, every: int, partition: int = 0) -> None:
    """A warehouse file into which the bodies landed in batches, each received a second after the one before."""
    with open_writer(path) as db:
        landing = Landing(db)
        for start in range(0, len(said), every):
            part = said[start : start + every]
            received = [NOON + timedelta(seconds=start + n) for n in range(len(part))]
            batch = a_batch(part, first_offset=start + 1, partition=partition, received=received)
            landing.land(batch, received[-1])


def rows(db: duckdb.DuckDBPyConnection, table: str) -> list[tuple[object, ...]]:
    return sorted(db.execute(f"from {table}").fetchall(), key=repr)


@pytest.mark.parametrize("events_a_share", [2_000_000, 50])
def test_facts_as_of_a_position_are_those_of_a_warehouse_that_never_saw_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events_a_share: int
) -> None:
    monkeypatch.setattr(as_of, "EVENTS_A_SHARE", events_a_share)
    world = simulate(Plan.medium(), seed=5, start=NOON, duration=timedelta(hours=1))
    faults = Faults(delay_s=3, late=0.1, late_s=1200, duplicates=0.1)
    said = [delivery.body for delivery in deliver(world.events, faults, seed=5)]
    said[7:7] = [b"not an event"]
    # Ids told again with another time, before and after the first: what counts changes with what has landed.
    for n, body in enumerate(random.Random(7).sample(said[8:], 40)):
        told = json.loads(body)
        if at := told.get("data", {}).get("occurred_at"):
            told["data"]["occurred_at"] = (datetime.fromisoformat(at) + timedelta(seconds=(-5, 5)[n % 2])).isoformat()
            said.insert(random.Random(n).randrange(8, len(said)), json.dumps(told).encode())
    landed(tmp_path / "replica.duckdb", said, every=100)
    for position in random.Random(5).sample(range(1, len(said)), 3):
        with opened_scratch(tmp_path / "replica.duckdb") as db, opened_warehouse() as never_saw_more:
            clock = as_of.derive(db, {0: position})
            received = [NOON + timedelta(seconds=n) for n in range(position)]
            never_saw_more.land_bodies(said[:position], now=clock, received=received)
            for table in (*FACT_TABLES, "bridged_connections", "fact_definitions", "rejected"):
                kept = never_saw_more.rows(table)
                if table == "rejected":
                    assert len(rows(db, table)) == len(kept)
                else:
                    assert rows(db, table) == kept
            describe(never_saw_more.db)
            for table in ("completeness", "(select * exclude (found_at) from contradictions)"):
                assert rows(db, table) == rows(never_saw_more.db, table)
            assert rows(db, "contradictions")
            assert len(rows(db, "queue_visits")) > 1


def test_the_clock_is_when_the_last_record_was_received_an_unreadable_one_too(tmp_path: Path) -> None:
    landed(tmp_path / "replica.duckdb", [*bodies(a_call().queued(at=NOON)), b"?", b"?"], every=1)
    with opened_scratch(tmp_path / "replica.duckdb") as db:
        assert as_of.derive(db, {0: 2}) == NOON + timedelta(seconds=1)


def test_a_clock_that_had_jumped_is_forgotten_with_the_next_record_and_a_stale_one_is_not_asked(tmp_path: Path) -> None:
    said = bodies(a_call().queued(at=NOON).answered(after=5))
    ahead = NOON + timedelta(days=400)
    with open_writer(tmp_path / "replica.duckdb") as db:
        landing = Landing(db)
        landing.land(a_batch(said, received=[NOON, ahead, NOON + timedelta(minutes=1)]), NOON)
        landing.land(a_batch([b"late"], first_offset=4, received=ahead, rejections=["stale"]), NOON)
    for position, clock in ((1, NOON), (2, ahead), (3, NOON + timedelta(minutes=1)), (4, NOON + timedelta(minutes=1))):
        with opened_scratch(tmp_path / "replica.duckdb") as db:
            assert as_of.derive(db, {0: position}) == clock


def test_only_time_that_had_passed_by_then_makes_a_visit_unknown(tmp_path: Path) -> None:
    long_ago = a_call().queued(at=NOON - timedelta(hours=25))
    landed(tmp_path / "replica.duckdb", bodies(long_ago), every=1)
    with open_writer(tmp_path / "replica.duckdb") as db:
        db.execute("update stored_events set received_at = occurred_at")
    with opened_scratch(tmp_path / "replica.duckdb") as db:
        as_of.derive(db, {0: 1})
        assert db.execute("select outcome from queue_visits").fetchall() == [("waiting",)]


def test_of_partitions_that_are_not_named_nothing_is_known(tmp_path: Path) -> None:
    landed(tmp_path / "replica.duckdb", bodies(a_call("ann").queued(at=NOON)), every=1)
    with open_writer(tmp_path / "replica.duckdb") as db:
        Landing(db).land(a_batch(bodies(a_call("bob").queued(at=NOON)), partition=3, first_offset=9), NOON)
    for positions, legs in (({0: 1}, ["ann"]), ({3: 9}, ["bob"]), ({0: 1, 3: 9}, ["ann", "bob"]), ({0: 0, 3: 8}, [])):
        with opened_scratch(tmp_path / "replica.duckdb") as db:
            as_of.derive(db, positions)
            assert sorted(leg for (leg,) in db.execute("select call_leg_id from queue_visits").fetchall()) == legs


@pytest.mark.parametrize(
    ("positions", "words"),
    [({0: 4}, r"0:4 has not landed yet: the last that did is 0:3"), ({0: 1, 5: 1}, r"partition 5 .* never landed")],
)
def test_a_position_that_was_never_reached_is_refused(tmp_path: Path, positions: dict[int, int], words: str) -> None:
    landed(tmp_path / "replica.duckdb", bodies(a_conference().created().joined("ann", 1).ended(9)), every=3)
    with opened_scratch(tmp_path / "replica.duckdb") as db, pytest.raises(UnreachedError, match=words):
        as_of.derive(db, positions)


def test_nothing_is_left_behind_and_the_warehouse_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = tmp_path / "replica.duckdb"
    landed(replica, bodies(a_call().queued(at=NOON)), every=1)
    before = replica.read_bytes()
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with opened_scratch(replica) as db:
        as_of.derive(db, {0: 1})
        assert [path.stat().st_mode & 0o077 for path in folder.iterdir()] == [0]
        with pytest.raises(duckdb.Error):
            db.execute("delete from source.queue_visits")
        with pytest.raises(duckdb.Error):
            db.execute("copy queue_visits to 'out.csv'")
    assert list(folder.iterdir()) == []
    assert replica.read_bytes() == before


def test_as_of_a_position_a_join_is_of_the_leg_that_its_id_was_tied_to_by_then(tmp_path: Path) -> None:
    enqueued, digit, hangup = a_call().queued(at=NOON).told("call.dtmf.received", after=5, digit="1").hung_up(after=535)
    joined = a_conference().created().joined("ann", 60).events[1].without("call_control_id")
    said = bodies(enqueued.without("call_leg_id"), joined, hangup.without("call_leg_id"), digit)
    landed(tmp_path / "replica.duckdb", said, every=1)
    found = []
    for position in range(1, len(said) + 1):
        with opened_scratch(tmp_path / "replica.duckdb") as db, opened_warehouse() as never_saw_more:
            clock = as_of.derive(db, {0: position})
            received = [NOON + timedelta(seconds=n) for n in range(position)]
            never_saw_more.land_bodies(said[:position], now=clock, received=received)
            for table in FACT_TABLES:
                assert rows(db, table) == never_saw_more.rows(table)
            found += db.execute("select outcome from queue_visits").fetchall()
    assert found == [("waiting",), ("waiting",), ("abandoned",), ("unknown",)]
