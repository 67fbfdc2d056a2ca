"""The commands on history as somebody meets them: their words, their exit codes, and what they leave behind."""

import gzip
import json

import pytest

from processors.landing.landing import Landing
from tests.support.builders import (
    LATER,
    NOON,
    a_batch,
    a_call,
    bodies,
)
from tests.support.command_line import KEY, Machine, a_replica
from warehouse.database import open_writer

CALL = bodies(a_call().queued(at=NOON).answered(after=4).talked(9))


@pytest.mark.parametrize("asked", ["session-of-ann", "ann", "v3:ann"])
def test_a_call_is_shown_for_whatever_id_somebody_has(machine: Machine, asked: str) -> None:
    a_replica(machine)
    said = machine.run("call", asked, "--tz", "Europe/Athens")
    assert said.code == 0, said.words
    for word in ("2026-02-03 14:00:00.000", "call.enqueued", "visit ended", "outcome answered", "support"):
        assert word in said.words
    assert len(json.loads(machine.run("call", asked, "--json").out)["entries"]) == 7


def test_a_call_that_nobody_has_heard_of_exits_with_1_and_says_what_was_expected(machine: Machine) -> None:
    a_replica(machine)
    said = machine.run("call", "[red]nobody")
    assert said.code == 1
    assert "nobody has heard of '[red]nobody': expected the id of a session, a leg or a conference" in said.words
    assert machine.run("call", "ann", HOLDTIME_REPLICA="elsewhere.duckdb").code == 2


def test_a_file_is_replayed_and_what_became_of_it_is_said(machine: Machine) -> None:
    (machine.folder / "archive.ndjson.gz").write_bytes(gzip.compress(b"\n".join([*CALL, b"not json"])))
    said = machine.run("replay", "archive.ndjson.gz")
    assert said.code == 0, said.words
    assert "5 bodies: 4 new events, 0 known already, 1 rejected (see `holdtime rejected list`)" in said.words
    assert "5 bodies: 0 new events, 5 known already, 0 rejected" in machine.run("replay", "archive.ndjson.gz").words
    assert "4 known" not in machine.run("report", "sla").words
    listed = machine.run("rejected", "list", "--json")
    assert [(each["reason"], each["records"]) for each in json.loads(listed.out)["reasons"]] == [("not_json", 1)]
    assert "unverified" in machine.run("call", "ann").words


def test_a_file_that_is_not_there_is_wrong_use_and_nothing_is_made(machine: Machine) -> None:
    said = machine.run("replay", "nowhere.ndjson")
    assert said.code == 2
    assert "nowhere.ndjson cannot be read: No such file or directory" in said.words
    assert machine.files == set()


def test_a_warehouse_that_somebody_writes_is_not_replayed_into(machine: Machine) -> None:
    (machine.folder / "archive.ndjson").write_bytes(CALL[0])
    db = open_writer(machine.folder / "data" / "warehouse.duckdb")
    said, again = machine.run("replay", "archive.ndjson"), machine.run("rejected", "replay")
    db.close()
    assert (said.code, again.code) == (2, 2)
    assert "warehouse.duckdb is locked" in said.words
    assert "`holdtime up` must not run meanwhile" in said.words
    assert "warehouse.duckdb is locked" in again.words


def test_what_was_stale_is_landed_again_and_published(machine: Machine) -> None:
    db = open_writer(machine.folder / "data" / "warehouse.duckdb")
    rejections = ["stale", None, "stale", "stale", None]
    Landing(db).land(a_batch([*CALL, b"[]"], rejections=rejections), LATER)
    db.close()
    said = machine.run("rejected", "replay", "--reason", "stale")
    assert said.code == 0, said.words
    assert "3 are events now, 0 were known already, 0 stay rejected" in said.words
    assert "outcome answered" in machine.run("call", "ann").words
    assert "0 are events now, 0 were known already, 1 stay rejected" in machine.run("rejected", "replay").words


def test_landing_again_without_a_warehouse_makes_none(machine: Machine) -> None:
    said = machine.run("rejected", "replay")
    assert said.code == 2
    assert "nothing was rejected" in said.words
    assert machine.files == set()


def test_the_doctor_exits_with_1_where_a_check_failed_and_makes_nothing(machine: Machine) -> None:
    said = machine.run("doctor", HOLDTIME_HTTP_PORT="9")
    assert said.code == 1
    for word in ("✗ keys", "TELNYX_PUBLIC_KEY", "• log", "is not there yet", "start `holdtime up`"):
        assert word in said.words
    assert machine.files == set()
    assert machine.run("doctor", TELNYX_PUBLIC_KEY=KEY, HOLDTIME_HTTP_PORT="9").code == 0


def test_the_doctor_names_all_that_is_wrong_with_a_configuration(machine: Machine) -> None:
    (machine.folder / "holdtime.toml").write_text("timezone = 'Mars/Olympus'\nweather = 1\n")
    said = machine.run("doctor", "--json")
    assert said.code == 1
    found = json.loads(said.out)
    assert (found["ok"], len(found["checks"])) == (False, 2)


def test_the_doctor_lists_what_is_open(machine: Machine) -> None:
    a_replica(machine)
    db = open_writer(machine.folder / "data" / "replica.duckdb")
    Landing(db).land(a_batch(bodies(a_call("bob").queued(at=NOON)), first_offset=9, received=LATER), LATER)
    db.close()
    said = machine.run("doctor", TELNYX_PUBLIC_KEY=KEY, HOLDTIME_HTTP_PORT="9")
    assert said.code == 0, said.words
    assert "1 waiting" in said.words
    assert "session-of-bob" in said.words
