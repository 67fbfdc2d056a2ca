"""Facts that changed are told, whatever comes between changing and relay."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta

import duckdb
import pytest

from eventlog.batch import EMPTY_BATCH
from eventlog.log import LogUnavailableError
from processors.landing.landing import Landing
from processors.outbox.outbox import Change, Outbox
from processors.outbox.relay import Relay
from tests.support.builders import (
    LATER,
    NOON,
    a_batch,
    a_call,
    bodies,
)
from warehouse.database import open_writer

PATIENCE_S = 30.0


@pytest.fixture
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = open_writer(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb")
    yield connection
    connection.close()


def outbox(landing: Landing) -> Outbox:
    assert landing.outbox is not None
    return landing.outbox


def told(landing: Landing) -> list[Change]:
    heard: list[Change] = []
    while (pending := outbox(landing).pending()).changes:
        heard += pending.changes
        outbox(landing).mark_published(pending.up_to)
    return heard


def visits(changes: list[Change]) -> list[dict[str, object]]:
    return [json.loads(change.body) for change in changes if change.fact == "queue_visits" and change.body]


def test_a_fact_is_told_when_it_is_new_and_when_it_changes_and_not_when_it_stays(db: duckdb.DuckDBPyConnection) -> None:
    landing = Landing(db, publishes=True)
    events = list(a_call().queued(at=NOON).answered(after=41))
    landing.land(a_batch(bodies(*events[:1])), NOON)
    assert [visit["outcome"] for visit in visits(told(landing))] == ["waiting"]
    landing.land(a_batch(bodies(*events[:1]), first_offset=10), NOON)
    assert told(landing) == []
    landing.land(a_batch(bodies(*events), first_offset=20), LATER)
    (visit,) = visits(told(landing))
    held = db.execute("select visit_id, outcome, wait_ms, revision from queue_visits").fetchall()
    assert held == [(visit["visit_id"], visit["outcome"], visit["wait_ms"], visit["revision"])]
    assert (visit["outcome"], visit["wait_ms"]) == ("answered", 41_000)


def test_a_fact_that_is_no_more_is_told_to_be_none(db: duckdb.DuckDBPyConnection) -> None:
    landing = Landing(db, publishes=True)
    enqueued, dequeued = list(a_call().queued(at=NOON).answered(after=41))[:2]
    landing.land(a_batch(bodies(dequeued)), NOON)
    (alone,) = [change for change in told(landing) if change.fact == "queue_visits"]
    landing.land(a_batch(bodies(enqueued), first_offset=10), NOON)
    latest = {change.key: change.body for change in told(landing) if change.fact == "queue_visits"}
    held = [visit_id for (visit_id,) in db.execute("select visit_id from queue_visits").fetchall()]
    assert [key for key, body in {alone.key: alone.body, **latest}.items() if body is not None] == held


def test_what_could_not_be_told_is_told_later_and_only_as_it_is_then(db: duckdb.DuckDBPyConnection) -> None:
    landing = Landing(db, publishes=True)
    events = list(a_call().queued(at=NOON).answered(after=41))

    def away(_: list[Change]) -> None:
        raise LogUnavailableError("away")

    landing.land(a_batch(bodies(*events[:1])), NOON)
    with Relay(outbox(landing), away) as relay:
        assert relay.go_on()
        with pytest.raises(LogUnavailableError):
            relay.go_on(wait_s=PATIENCE_S)
        assert not relay.go_on()
    landing.land(a_batch(bodies(*events), first_offset=10), NOON)
    heard: list[Change] = []
    with Relay(outbox(landing), heard.extend) as relay:
        while relay.go_on(wait_s=PATIENCE_S):
            pass
    assert [visit["outcome"] for visit in visits(heard)] == ["answered"]
    assert outbox(landing).backlog() == 0


def test_landing_goes_on_while_somebody_is_slow_to_be_told(db: duckdb.DuckDBPyConnection) -> None:
    landing, listening, heard = Landing(db, publishes=True), threading.Event(), list[Change]()
    events = list(a_call().queued(at=NOON).answered(after=41))

    def slow(changes: list[Change]) -> None:
        listening.wait(PATIENCE_S)
        heard.extend(changes)

    with Relay(outbox(landing), slow) as relay:
        landing.land(a_batch(bodies(*events[:1])), NOON)
        assert relay.go_on()
        landing.land(a_batch(bodies(*events), first_offset=10), NOON)
        assert relay.go_on()
        assert heard == []
        listening.set()
        while relay.go_on(wait_s=PATIENCE_S):
            pass
    assert [visit["outcome"] for visit in visits(heard)] == ["waiting", "answered"]


def test_what_time_alone_changes_is_told(db: duckdb.DuckDBPyConnection) -> None:
    landing = Landing(db, publishes=True)
    landing.land(a_batch(bodies(a_call().queued(at=NOON))), NOON)
    told(landing)
    landing.land(EMPTY_BATCH, NOON + timedelta(hours=25))
    assert [visit["outcome"] for visit in visits(told(landing))] == ["unknown"]


def test_nobody_is_told_unless_it_was_asked_for(db: duckdb.DuckDBPyConnection) -> None:
    Landing(db).land(a_batch(bodies(a_call().queued(at=NOON))), NOON)
    assert Outbox(db).pending().changes == []
