"""What was rejected lands again, and the readers of facts in topics hear of it."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from eventlog.kafka import address as kafka_address
from eventlog.kafka.connection import Connection
from eventlog.kafka.log import KafkaLog
from eventlog.kafka.topics import Layout
from eventlog.log import Record
from simulator import World
from tests.support.kafka.facts import latest_told
from tests.support.kafka.node import Node, Nodes
from tests.support.waiting import until
from tests.support.worlds import a_quiet_world

pytestmark = pytest.mark.kafka


async def append_stale(servers: str, layout: Layout, world: World) -> None:
    """Append the world's webhooks as ingest does while its clock is wrong."""
    log = KafkaLog(Connection(kafka_address.servers(servers), layout=layout))
    await log.start()
    try:
        now_us = time.time_ns() // 1000
        for event in world.events:
            await log.append(Record(event.body, now_us, verified=True, rejection="stale"))
    finally:
        await log.close()


def replayed(node: Node) -> str:
    """Land again what was rejected as stale; return what the command says."""
    command = [sys.executable, "-m", "holdtime", "rejected", "replay", "--reason", "stale"]
    ended = subprocess.run(command, cwd=node.folder, env=node.environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def test_facts_that_change_when_rejected_deliveries_land_again_are_published(tmp_path: Path, kafka: str) -> None:
    world = a_quiet_world(seed=23)
    with Nodes.around(tmp_path, kafka) as nodes:
        asyncio.run(append_stale(kafka, Layout(partitions=4, copies=1, prefix=nodes.prefix), world))
        process = nodes.node("process")
        process.start()
        until(lambda: process.status()["landed"] == len(world.events), process.status)
        assert process.stop(signal.SIGTERM) == 0
        assert f"{len(world.events):,} are events now" in replayed(process)
        with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as db:
            held = db.execute("select visit_id, revision, wait_ms from queue_visits").fetchall()
        published = asyncio.run(latest_told(kafka, f"{nodes.prefix}holdtime.facts.queue-visits"))
    assert held
    assert sorted((each["visit_id"], each["revision"], each["wait_ms"]) for each in published) == sorted(held)
