"""From signed deliveries over HTTP to what a reader finds in the replica, as separate processes."""

import asyncio
import contextlib
import json
import signal
import urllib.error
import urllib.request
from datetime import datetime, timedelta

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from simulator import (
    Posted,
    deliver,
)
from tests.support.center import ROUGH, Center
from tests.support.waiting import until
from tests.support.worlds import a_quiet_world, truth_of


def test_a_rough_hour_is_in_the_replica_as_it_happened_while_the_server_runs(center: Center) -> None:
    world = a_quiet_world(seed=1)
    deliveries = deliver(world.events, ROUGH, seed=1)
    forged = sum(delivery.forged for delivery in deliveries)
    assert min(len(rows) for rows in truth_of(world).values()) > 5
    assert forged > 5
    center.start()
    posted = asyncio.run(center.post(deliveries))
    assert (posted.given_up, posted.statuses, posted.forged) == ([], {200: posted.accepted}, {401: forged})
    center.until_found(truth_of(world))
    assert center.server.poll() is None
    with contextlib.closing(duckdb.connect(center.folder / "replica.duckdb", read_only=True)) as db:
        assert db.execute("select count(*), count(distinct event_id) from events").fetchall() == [
            (len(world.events), len(world.events))
        ]
        assert db.execute("select count(*) from rejected").fetchall() == [(0,)]


def test_a_server_killed_while_it_takes_deliveries_loses_and_doubles_nothing(center: Center) -> None:
    world = a_quiet_world(seed=2)
    deliveries = deliver(world.events, ROUGH, seed=2)
    settled = 0

    def count(posted: Posted) -> None:
        nonlocal settled
        settled = posted.settled

    async def scenario() -> Posted:
        posting = asyncio.create_task(center.post(deliveries, progress=count))
        for share in (0.25, 0.6):
            while settled < share * len(deliveries):
                assert not posting.done(), "all was posted before the server could be killed"
                await asyncio.sleep(0.005)
            assert center.stop(signal.SIGKILL) == -signal.SIGKILL
            await asyncio.to_thread(center.start)
        return await posting

    center.start()
    posted = asyncio.run(scenario())
    assert posted.given_up == []
    center.until_found(truth_of(world))
    assert center.stop(signal.SIGTERM) == 0, center.words
    assert center.found() == truth_of(world)


def test_a_server_that_is_told_to_stop_lands_and_publishes_what_it_took(center: Center) -> None:
    world = a_quiet_world(seed=3, duration=timedelta(minutes=20))
    center.start()
    posted = asyncio.run(center.post(deliver(world.events, ROUGH, seed=3)))
    assert center.stop(signal.SIGTERM) == 0, center.words
    assert posted.given_up == []
    assert center.found() == truth_of(world)
    assert sorted(each.name for each in center.folder.iterdir() if "sqlite" not in each.name) == [
        "live.duckdb",
        "replica.duckdb",
        "server.log",
        "warehouse.duckdb",
    ]


def test_a_server_says_how_it_is(center: Center) -> None:
    world = a_quiet_world(seed=4, duration=timedelta(minutes=10))
    deliveries = deliver(world.events)
    center.start()
    assert center.get("/livez") == b"alive\n"
    assert center.get("/readyz") == b"ready\n"
    before = json.loads(center.get("/status"))
    assert (before["log_end"], before["landed"], before["lag_events"], before["last_landed_at"]) == (0, 0, 0, None)
    assert datetime.fromisoformat(before["replica_at"]).tzinfo is not None
    asyncio.run(center.post(deliveries))
    until(lambda: json.loads(center.get("/status"))["landed"] == len(deliveries), lambda: center.get("/status"))
    after = json.loads(center.get("/status"))
    assert (after["log_end"], after["lag_events"]) == (len(deliveries), 0)
    assert after["last_landed_at"] > before["replica_at"]
    counted = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(center.get("/metrics").decode())
        for sample in family.samples
    }
    assert counted["holdtime_records_landed_total", "event"] == len(deliveries)
    assert counted["holdtime_records_landed_total", "duplicate"] == 0
    with pytest.raises(urllib.error.HTTPError, match="405"):
        center.get("/webhooks/telnyx")
