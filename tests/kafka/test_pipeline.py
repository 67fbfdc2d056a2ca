"""From signed deliveries to the replica, over a real broker and through the loss of processes."""

import asyncio
import signal
from pathlib import Path

import duckdb
import pytest

from processors.facts import FACTS
from simulator import Faults, deliver
from tests.support.center import ROUGH, Center
from tests.support.kafka.cluster import Cluster
from tests.support.kafka.facts import latest_told
from tests.support.kafka.node import Node, Nodes
from tests.support.waiting import until
from tests.support.worlds import a_quiet_world, truth_of

pytestmark = pytest.mark.kafka


def test_two_ingests_and_a_standby_tell_what_one_process_tells_though_processes_are_killed_and_restarted(
    tmp_path: Path, kafka: str
) -> None:
    world = a_quiet_world(seed=21)
    deliveries = deliver(world.events, ROUGH, seed=21)
    with Nodes.around(tmp_path, kafka) as nodes:
        ingests = [nodes.node("ingest"), nodes.node("ingest")]
        processors = [nodes.node("process"), nodes.node("process")]
        for node in (*ingests, processors[0]):
            node.start()
        processors[1].begin()
        until(lambda: "standby" in processors[1].readiness(), processors[1].readiness)

        async def post() -> None:
            posting = asyncio.gather(*(node.post(deliveries[place::2]) for place, node in enumerate(ingests)))
            until_landed = asyncio.to_thread(
                until, lambda: bool(processors[0].status()["landed"]), processors[0].status
            )
            await until_landed
            processors[0].kill()
            ingests[0].kill()
            await asyncio.to_thread(ingests[0].start)
            assert await asyncio.to_thread(ingests[1].stop, signal.SIGTERM) == 0
            await asyncio.to_thread(ingests[1].start)
            assert not any(posted.given_up for posted in await posting)

        asyncio.run(post())
        processors[1].until_found(truth_of(world))
        told = asyncio.run(latest_told(kafka, f"{nodes.prefix}holdtime.facts.queue-visits"))
        assert processors[1].stop(signal.SIGTERM) == 0
        said = (tmp_path / "server.log").read_text().splitlines()
        assert [line for line in said if not line.startswith("{")] == []
        with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as db:
            held = db.execute("select visit_id, revision, wait_ms from queue_visits").fetchall()
        assert sorted((said["visit_id"], said["revision"], said["wait_ms"]) for said in told) == sorted(held)
        (tmp_path / "embedded").mkdir()
        embedded = Center(tmp_path / "embedded", nodes.nodes[0].port)
        ingests[0].kill()
        embedded.start()
        try:
            asyncio.run(embedded.post(deliveries))
            embedded.until_found(truth_of(world))
        finally:
            embedded.stop(signal.SIGTERM)
    on_kafka, in_a_file = rows_in(tmp_path), rows_in(tmp_path / "embedded")
    for table, rows in in_a_file.items():
        assert rows, table
        assert on_kafka[table] == rows, table


def rows_in(folder: Path) -> dict[str, list[str]]:
    """Every fact, whole, and every event but for when and where in the log it came."""
    came = "received_at, stored_at, payload, body, log_partition, log_offset"
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as db:
        db.execute("set timezone = 'UTC'")
        return {
            **{fact.table: sorted(map(repr, db.execute(f"from {fact.table}").fetchall())) for fact in FACTS},
            "events": sorted(map(repr, db.execute(f"select * exclude ({came}) from events").fetchall())),
        }


def has_landed(node: Node) -> bool:
    return bool(node.status()["landed"])


@pytest.mark.parametrize("spooled", [True, False], ids=["with a spool", "without a spool"])
def test_deliveries_while_the_cluster_is_away_are_taken_or_asked_for_again_and_none_is_lost(
    tmp_path: Path, spooled: bool
) -> None:
    world = a_quiet_world(seed=22)
    deliveries = deliver(world.events, Faults(), seed=22)
    configuration = 'spool = "spool.sqlite"\n' if spooled else ""
    with (
        Cluster.running(tmp_path / "kafka") as cluster,
        Nodes.around(tmp_path, cluster.bootstrap, configuration) as nodes,
    ):
        (broker,) = cluster.brokers
        ingest, process = nodes.node("ingest"), nodes.node("process")
        ingest.start()
        process.start()
        first, second = deliveries[: len(deliveries) // 2], deliveries[len(deliveries) // 2 :]
        assert not asyncio.run(ingest.post(first)).given_up
        broker.send(signal.SIGSTOP)

        async def post() -> None:
            posting = asyncio.create_task(ingest.post(second[:40]))
            if spooled:
                assert set((await posting).statuses) == {200}
                assert ingest.readiness() == "ready"
            else:
                await asyncio.to_thread(until, lambda: "Kafka" in ingest.readiness(), ingest.readiness)
            broker.send(signal.SIGCONT)
            await posting
            await ingest.post(second[40:])

        asyncio.run(post())
        process.until_found(truth_of(world))
