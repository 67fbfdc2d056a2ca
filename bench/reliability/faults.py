"""A cluster of three brokers, two ingests and two processors, any of which is killed or stopped at any moment.

One trial is one fault: `kill -9`, or a stop of some seconds, of an ingest, of a processor, or of a broker that leads
partitions. Meanwhile signed webhooks are posted to both ingests, with retries. At the end nothing that was answered
with 200 is lost, every fact is as it happened, and nobody had to repair anything by hand.
"""

import asyncio
import random
import signal
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import duckdb

from bench.reliability.campaign import Campaign, Tally
from simulator import (
    Retries,
    deliver,
    post,
)
from tests.support.center import KEY, ROUGH
from tests.support.kafka.cluster import Cluster
from tests.support.kafka.node import Node, Nodes
from tests.support.worlds import a_quiet_world, truth_of

PATIENT = Retries(limit=10_000, first_s=0.05, most_s=0.5, total_s=1_800)
HOURS_A_FAULT = 1.0
"""Of the center's life: 60 faults see some 100,000 events."""

STOPPED_S = 20.0
BETWEEN_S = (0.5, 4.0)
CAUGHT_UP_S = 15.0
"""How soon after the last fault nothing may be left to land."""


def run(seed: int, faults: int) -> Tally:
    """Do so many faults to one cluster."""
    tally = Tally(trials=faults)
    with (
        tempfile.TemporaryDirectory() as name,
        Cluster.running(Path(name) / "kafka", brokers=3) as cluster,
        Nodes.around(Path(name), cluster.bootstrap) as nodes,
    ):
        ingests = [nodes.node("ingest") for _ in range(2)]
        processors = [nodes.node("process") for _ in range(2)]
        try:
            asyncio.run(_suffered(cluster, ingests, processors, faults=faults, rng=random.Random(seed), tally=tally))
        except AssertionError as error:
            tally.failures.append(str(error)[-3000:])
            tally.counts["faults_not_recovered"] += 1
    return tally


async def _suffered(
    cluster: Cluster, ingests: list[Node], processors: list[Node], *, faults: int, rng: random.Random, tally: Tally
) -> None:
    world = a_quiet_world(seed=rng.randrange(1 << 30), duration=timedelta(hours=faults * HOURS_A_FAULT))
    deliveries = deliver(world.events, ROUGH, seed=1)
    for node in (*ingests, processors[0]):
        await asyncio.to_thread(node.start)
    processors[1].begin()
    pace = len(world.events) / (faults * 8.0) / 2
    posting = asyncio.gather(
        *(
            post(
                deliveries[place::2],
                url=f"http://127.0.0.1:{node.port}/webhooks/telnyx",
                key=KEY,
                rate=pace,
                retries=PATIENT,
            )
            for place, node in enumerate(ingests)
        )
    )
    for _ in range(faults):
        await asyncio.sleep(rng.uniform(*BETWEEN_S))
        await _fault(rng, cluster, ingests, processors, tally)
    done = time.monotonic()
    posted = await posting
    left = max(done, time.monotonic())
    await until_landed(processors)
    caught_up = time.monotonic() - left
    tally.counts["faults_too_slow"] += caught_up > CAUGHT_UP_S
    tally.counts["faults_events"] += len(world.events)
    tally.counts["faults_attempts"] += sum(each.statuses.total() for each in posted)
    tally.counts["faults_given_up"] += sum(len(each.given_up) for each in posted)
    for count, found in (
        await asyncio.to_thread(judge, processors, {event.event_id for event in world.events})
    ).items():
        tally.counts[f"faults_{count}"] += found
    try:
        processors[0].until_found(truth_of(world))
    except AssertionError as error:
        tally.failures.append(f"facts: {error}"[:3000])
        tally.counts["faults_untrue"] += 1


async def _fault(
    rng: random.Random, cluster: Cluster, ingests: list[Node], processors: list[Node], tally: Tally
) -> None:
    """Do one thing to one of them, and undo it."""
    kills, stops_s = rng.random() < 0.7, rng.uniform(2, STOPPED_S)
    which = rng.choice(("ingest", "process", "broker"))
    tally.counts[f"faults_{which}_{'killed' if kills else 'stopped'}"] += 1
    if which == "broker":
        broker = rng.choice(cluster.brokers)
        if kills:
            broker.kill()
            await asyncio.sleep(rng.uniform(1, 6))
            broker.start()
            await asyncio.to_thread(cluster.wait)  # with two of three gone nobody could promise anything
        else:
            broker.send(signal.SIGSTOP)
            await asyncio.sleep(stops_s)
            broker.send(signal.SIGCONT)
        return
    node = rng.choice(ingests if which == "ingest" else processors)
    if kills:
        await asyncio.to_thread(node.kill)
        node.begin()
    else:
        node.server.send_signal(signal.SIGSTOP)
        await asyncio.sleep(stops_s)
        node.server.send_signal(signal.SIGCONT)


async def until_landed(processors: list[Node]) -> None:
    """Wait until one of them says that nothing is left to land."""
    began = time.monotonic()
    while not any(_has_landed_all(node) for node in processors):
        assert time.monotonic() - began < 120, f"still not landed: {processors[0].words}"
        await asyncio.sleep(0.1)


def _has_landed_all(node: Node) -> bool:
    with suppress(OSError):
        return node.status()["lag_events"] == 0
    return False


def judge(processors: list[Node], sent: set[str]) -> dict[str, int]:
    """Stop the processors; how many of the events that were sent are not in the warehouse, and how many twice."""
    for node in processors:
        code = node.stop(signal.SIGTERM)
        assert code == 0, f"a processor ended with {code}: {node.words}"
    with closing(duckdb.connect(processors[0].folder / "warehouse.duckdb", read_only=True)) as db:
        stored = Counter(event_id for (event_id,) in db.execute("select event_id from events").fetchall())
    return {"lost": len(sent - stored.keys()), "twice": sum(times > 1 for times in stored.values())}


CAMPAIGN = Campaign(
    "faults",
    run,
    60,
    6,
    60,
    1_200,
    (
        "faults_lost",
        "faults_twice",
        "faults_untrue",
        "faults_not_recovered",
        "faults_given_up",
        "faults_too_slow",
    ),
)
