"""A rolling restart under load: three brokers, two ingests, a processor and its standby, one after the other.

One trial is one restart, as an operator does it: SIGTERM, start again, go on when it is ready (a broker: when every
partition has all its copies). Meanwhile webhooks come at 300 a second, to either ingest, and where one does not take
them to the other, as Telnyx's retries do. Every answer is timed. At the end nothing is lost and every fact is as it
happened.
"""

import asyncio
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import cycle
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from bench.reliability.campaign import Campaign, Tally
from bench.reliability.faults import PATIENT, judge, until_landed
from simulator import (
    Posted,
    deliver,
    post,
)
from tests.support.center import KEY, ROUGH
from tests.support.kafka.cluster import Broker, Cluster
from tests.support.kafka.node import Node, Nodes
from tests.support.waiting import until
from tests.support.worlds import a_quiet_world, truth_of

A_SECOND = 300
HOURS_A_RESTART = 4.0
"""Of the center's life: some 7,000 webhooks, and 20 s."""

LATEST_S = 1.5
BETWEEN_S = 2.0


def run(seed: int, restarts: int) -> Tally:
    """Restart so many of them, the brokers first."""
    tally = Tally(trials=restarts)
    with (
        tempfile.TemporaryDirectory() as name,
        Cluster.running(Path(name) / "kafka", brokers=3) as cluster,
        Nodes.around(Path(name), cluster.bootstrap) as nodes,
    ):
        ingests = [nodes.node("ingest") for _ in range(2)]
        processors = [nodes.node("process") for _ in range(2)]
        try:
            asyncio.run(_rolled(cluster, ingests, processors, restarts=restarts, seed=seed, tally=tally))
        except AssertionError as error:
            tally.failures.append(str(error)[-3000:])
            tally.counts["rolling_not_recovered"] += 1
    return tally


async def _rolled(
    cluster: Cluster, ingests: list[Node], processors: list[Node], *, restarts: int, seed: int, tally: Tally
) -> None:
    world = a_quiet_world(seed=seed % 1000, duration=timedelta(hours=restarts * HOURS_A_RESTART))
    deliveries = deliver(world.events, ROUGH, seed=seed)
    for node in (*ingests, processors[0]):
        await asyncio.to_thread(node.start)
    processors[1].begin()
    urls = [f"http://127.0.0.1:{node.port}/webhooks/telnyx" for node in ingests]
    posting = [
        asyncio.create_task(
            post(
                deliveries[place::2],
                url=urls[place],
                failover=urls[1 - place],
                key=KEY,
                rate=A_SECOND / 2,
                connections=32,
                retries=PATIENT,
            )
        )
        for place in range(2)
    ]
    things: Iterator[Broker | Node] = cycle([*cluster.brokers, *ingests, *processors])
    for thing in [next(things) for _ in range(restarts)]:
        await asyncio.sleep(BETWEEN_S)
        tally.counts["rolling_without_load"] += all(each.done() for each in posting)
        if isinstance(thing, Node):
            await asyncio.to_thread(_restart, thing, tally)
        else:
            await asyncio.to_thread(thing.stop)
            thing.start()
            await asyncio.to_thread(cluster.wait)
            await _until_in_sync(cluster)
    _count(await asyncio.gather(*posting), tally)
    await until_landed(processors)
    tally.counts["rolling_events"] += len(world.events)
    for count, found in (
        await asyncio.to_thread(judge, processors, {event.event_id for event in world.events})
    ).items():
        tally.counts[f"rolling_{count}"] += found
    try:
        processors[0].until_found(truth_of(world))
    except AssertionError as error:
        tally.failures.append(f"facts: {error}"[:3000])
        tally.counts["rolling_untrue"] += 1


def _restart(node: Node, tally: Tally) -> None:
    code = node.stop(signal.SIGTERM)
    if code != 0:
        tally.failures.append(f"{node.role} ended with {code}: {node.words}")
        tally.counts["rolling_not_recovered"] += 1
    node.begin()
    until(lambda: node.readiness() in _READY, node.readiness)


_READY = {"ready", "not ready: standby: another process has the warehouse"}


async def _until_in_sync(cluster: Cluster) -> None:
    """Wait until every partition has all its copies."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(60):
            behind = True
            while behind:
                with suppress(KafkaError):
                    topics = await admin.describe_topics()
                    partitions = [partition for topic in topics for partition in topic["partitions"]]
                    behind = any(len(each["isr"]) < len(each["replicas"]) for each in partitions)
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


def _count(posted: list[Posted], tally: Tally) -> None:
    tally.counts["rolling_attempts"] += sum(each.statuses.total() for each in posted)
    tally.counts["rolling_given_up"] += sum(len(each.given_up) for each in posted)
    tally.counts["rolling_slowest_ms"] = round(1000 * max(each.slowest_s for each in posted))
    tally.counts["rolling_too_late"] += sum(each.slowest_s > LATEST_S for each in posted)
    for each in posted:
        for status, count in each.statuses.items():
            tally.counts[f"rolling_answers_{status or 'none'}"] += count


CAMPAIGN = Campaign(
    "rolling",
    run,
    7,
    7,
    7,
    600,
    (
        "rolling_lost",
        "rolling_twice",
        "rolling_untrue",
        "rolling_not_recovered",
        "rolling_given_up",
        "rolling_too_late",
        "rolling_without_load",
    ),
)
