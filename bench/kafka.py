"""How fast events land from a real Kafka broker, and how soon after a 200 they can be seen.

`kafka_landing_vs_limit`: events landed a second from a topic, over the smaller of two limits taken in one run: what
a bare aiokafka consumer that does nothing reads of that topic, and what lands from a SQLite log of the same events.
`freshness_p95_s`: from receiving a delivery to its batch being committed in the warehouse, at 500 deliveries a second.
"""

import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.landing import START, _fill
from eventlog.kafka.connection import Connection
from eventlog.kafka.log import KafkaLog
from eventlog.kafka.topics import Layout
from eventlog.log import LogReader, Record
from eventlog.sqlite.log import SqliteLog
from holdtime.service import allocator
from ingest.app import favour_the_loop
from processors.app import MAX_RECORDS
from processors.landing.landing import Landing
from processors.landing.prefetcher import Prefetcher
from processors.landing.speculator import Preparer
from simulator import (
    Plan,
    deliver,
    post,
    simulate,
)
from tests.support.center import KEY
from tests.support.kafka.cluster import Cluster
from tests.support.kafka.node import Nodes
from warehouse.database import open_writer

A_SECOND = 500


def measure(*, quick: bool) -> dict[str, float | str]:
    """Return the ratio and the rates behind it, and the freshness. Quick takes about 1 minute, else about 4."""
    with tempfile.TemporaryDirectory() as name, Cluster.running(Path(name) / "kafka") as cluster:
        folder = Path(name)
        return {
            **_against_limits(folder, cluster.bootstrap, quick=quick),
            **_freshness(folder, cluster.bootstrap, quick=quick),
        }


def _against_limits(folder: Path, servers: str, *, quick: bool) -> dict[str, float | str]:
    days, rounds = (4, 2) if quick else (15, 4)
    world = simulate(Plan.medium(), seed=1, start=START, duration=timedelta(days=days))
    bodies = [event.body for event in world.events]
    connection = Connection((servers,), layout=Layout(prefix=f"{uuid4().hex}."))
    asyncio.run(_publish(connection, bodies))
    asyncio.run(_fill(folder / "log.sqlite", bodies))
    favour_the_loop()  # as every process does that reads from Kafka
    rates: dict[str, list[float]] = {"bare_consumer": [], "embedded_landing": [], "kafka_landing": []}
    for _ in range(rounds):
        rates["bare_consumer"].append(len(bodies) / asyncio.run(_consume(connection, len(bodies))))
        rates["embedded_landing"].append(len(bodies) / _land(SqliteLog(folder / "log.sqlite"), folder, len(bodies)))
        log = KafkaLog(connection)
        log.end()  # connected, as the other two are
        rates["kafka_landing"].append(len(bodies) / _land(log, folder, len(bodies)))
        asyncio.run(log.close())
    ratios = [
        landed / min(bare, embedded) for bare, embedded, landed in zip(*(rates[name] for name in rates), strict=True)
    ]
    return {
        "kafka_landing_vs_limit": round(statistics.median(ratios), 3),
        "kafka_landing_events": len(bodies),
        **{f"kafka_{name}_per_s": round(statistics.median(values)) for name, values in rates.items()},
    }


async def _publish(connection: Connection, bodies: list[bytes]) -> None:
    log = KafkaLog(connection, deadline_s=60)
    await log.start()
    for start in range(0, len(bodies), 1_000):
        some = bodies[start : start + 1_000]
        await asyncio.gather(*(log.append(Record(body, 1_800_000_000_000_000)) for body in some))
    await log.close()


async def _consume(connection: Connection, count: int) -> float:
    """Seconds to read that many records and do nothing with them."""
    layout = connection.layout
    consumer = AIOKafkaConsumer(
        bootstrap_servers=list(connection.servers), fetch_max_bytes=16 << 20, max_partition_fetch_bytes=8 << 20
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(layout.events, number) for number in range(layout.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        read, began = 0, time.perf_counter()
        while read < count:
            read += sum(map(len, (await consumer.getmany(timeout_ms=1_000, max_records=20_000)).values()))
        return time.perf_counter() - began
    finally:
        await consumer.stop()


def _land(log: LogReader, folder: Path, count: int) -> float:
    """Seconds to land that many records, checkpoint included."""
    warehouse = folder / "warehouse.duckdb"
    db = open_writer(warehouse)
    landing, now, landed = Landing(db), datetime.now(UTC), 0
    began = time.perf_counter()
    with Prefetcher(log, MAX_RECORDS, Preparer()) as reading:
        while landed < count:
            prepared = reading.read(landing.positions())
            if len(prepared.batch):
                landed += landing.land(prepared, now).records
    db.execute("checkpoint")
    took = time.perf_counter() - began
    db.close()
    warehouse.unlink()
    return took


def _freshness(folder: Path, servers: str, *, quick: bool) -> dict[str, float | str]:
    """Post at a steady rate to an ingest process; what a process beside it says of when it had landed what."""
    home = folder / "nodes"
    home.mkdir()
    seconds = 15 if quick else 60
    world = simulate(Plan.medium(), seed=3, start=START, duration=timedelta(days=3))
    deliveries = deliver(world.events)[: A_SECOND * seconds]
    with Nodes.around(home, servers) as nodes:
        ingest, process = nodes.node("ingest"), nodes.node("process")
        ingest.start()
        process.start()
        url = f"http://127.0.0.1:{ingest.port}/webhooks/telnyx"
        posted = asyncio.run(post(deliveries, url=url, key=KEY, rate=A_SECOND, connections=32))
        while process.status()["lag_events"]:
            time.sleep(0.1)
        process.stop(signal.SIGTERM)
    landed = [(at,) for at in _landed_at(home / "server.log")]
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as db:
        db.execute("create temp table landed (landed_at timestamptz)")
        db.executemany("insert into landed values (?)", landed)
        # Landing stamps `stored_at` when it begins; the process says when it was done.
        ((p50, p95),) = db.execute(
            """
            select median(seconds), quantile_cont(seconds, 0.95)
            from (
                select epoch(landed_at - received_at) as seconds
                from events asof join landed on stored_at <= landed_at
            )
            """
        ).fetchall()
    return {
        "freshness_p50_s": round(p50, 3),
        "freshness_p95_s": round(p95, 3),
        "freshness_rate_per_s": round(len(deliveries) / posted.seconds),
    }


def _landed_at(log: Path) -> list[str]:
    """When batches had landed, by the process's own log."""
    said = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return [each["timestamp"] for each in said if each.get("event") == "batch_landed"]


if __name__ == "__main__":
    allocator.enlarge_cache()
    sys.stdout.write(json.dumps(measure(quick="--quick" in sys.argv), indent=2) + "\n")
