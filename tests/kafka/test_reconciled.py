"""`holdtime reconcile` before a log on Kafka: what it finds, another process lands; when nobody ingested is told."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventlog.kafka import address as kafka_address
from eventlog.kafka.connection import Connection
from eventlog.kafka.liveness import KafkaLiveness
from eventlog.kafka.topics import Layout
from simulator import Faults, deliver
from simulator.api import Account
from tests.support.kafka.node import Node, Nodes
from tests.support.served import (
    KEY,
    now_us,
    telnyx,
)
from tests.support.waiting import until
from tests.support.worlds import a_recent_world, truth_of

pytestmark = pytest.mark.kafka


def reconciled(node: Node) -> str:
    """What one run says, and how it ends."""
    command = [sys.executable, "-m", "holdtime", "reconcile", "--once"]
    ended = subprocess.run(command, cwd=node.folder, env=node.environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "+1202555" not in ended.stderr
    return ended.stderr


def shown(folder: Path, query: str) -> list[Any]:
    with duckdb.connect(folder / "replica.duckdb", read_only=True) as db:
        return db.execute(query).fetchall()


def windows(folder: Path) -> int:
    ((count,),) = shown(folder, "select count(*) from events where event_type = 'reconciler.window.completed'")
    return int(count)


def test_what_is_found_lands_by_another_process_and_time_that_no_ingest_was_there_is_told(
    tmp_path: Path, kafka: str
) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=4)
    world = a_recent_world(begin, timedelta(minutes=2))
    rng = random.Random(3)
    lost = {event.event_id for event in world.events if rng.random() < 0.3}
    heard = [each for each in deliver(world.events, Faults(), seed=3) if each.event_id not in lost]
    with telnyx(Account.of(world, now=now_us, lost=lost)) as url, Nodes.around(tmp_path, kafka) as nodes:
        connection = Connection(kafka_address.servers(kafka), layout=Layout(prefix=nodes.prefix))
        asyncio.run(told(connection, begin))
        ingest, process = nodes.node("ingest"), nodes.node("process")
        asking = nodes.node("reconcile", TELNYX_API_KEY=KEY, TELNYX_BASE_URL=url)
        ingest.start()
        process.start()
        assert not asyncio.run(ingest.post(heard)).given_up
        until(lambda: process.status()["lag_events"] == 0, process.status)
        asking.start()
        until(lambda: standing(asking)["succeeded_at"] is not None, asking.status)
        metrics = asking.get("/metrics").decode()
        assert 'holdtime_reconciler_source_skipped{source="queues",why="forbidden"} 0.0' in metrics
        assert f'holdtime_reconciler_published_total{{source="webhook_deliveries"}} {len(lost)}.0' in metrics
        assert asking.stop(signal.SIGTERM) == 0
        process.until_found(truth_of(world))
        until(lambda: process.status()["lag_events"] == 0 and windows(tmp_path) > 0, process.status)
        found = dict(shown(tmp_path, "select origin, count(*) from events where event_type not like 'rec%' group by 1"))
        assert found == {"webhook": len(world.events) - len(lost), "reconciler": len(lost)}
        query = "select sum(down_ms) from (select any_value(down_ms) as down_ms from completeness group by day)"
        ((down_ms,),) = shown(tmp_path, query)
        assert timedelta(hours=4) <= timedelta(milliseconds=int(down_ms)) < timedelta(hours=4, minutes=5)
        before, end = windows(tmp_path), process.status()["log_end"]
        assert isinstance(end, int)
        reconciled(asking)
        until(lambda: process.status()["lag_events"] == 0, process.status)
        until(lambda: process.status()["log_end"] == end + windows(tmp_path) - before, process.status)


async def told(connection: Connection, at: datetime) -> None:
    """Somebody ingested then."""
    liveness = KafkaLiveness(connection)
    assert await liveness.last() is None
    await liveness.beat(at)
    assert await liveness.last() == at
    await liveness.close()


def standing(node: Node) -> dict[str, Any]:
    """What /status says of reconciling."""
    return dict(json.loads(node.get("/status"))["reconciler"])
