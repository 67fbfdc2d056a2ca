"""`kill -9` at any moment, in start-up too: nothing that was answered with 200 is lost, and nothing counts twice.

One trial is one kill of a `holdtime up`. A share is one folder: signed webhooks are posted to it, with retries, while
its server is killed and started again; at the end every fact is as it happened.
"""

import asyncio
import random
import signal
import socket
import tempfile
from collections import Counter
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import duckdb

from bench.reliability.campaign import Campaign, Tally
from simulator import (
    Posted,
    Retries,
    SimulatedDelivery,
    World,
    deliver,
    post,
)
from tests.support.center import KEY, ROUGH, Center
from tests.support.worlds import a_quiet_world, truth_of

PATIENT = Retries(limit=10_000, first_s=0.05, most_s=0.2, total_s=600)
A_KILL_S = 2.0
"""The most that a server is let be. Webhooks are posted at a pace that has some come in most of its lives."""

WHILE_SERVING = 0.7
"""Of kills: those that wait for the server to be ready first."""


def run(seed: int, kills: int) -> Tally:
    """Kill a server so many times."""
    tally = Tally(trials=kills)
    world = a_quiet_world(seed=seed, duration=timedelta(hours=2))
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        center = Center(Path(name), probe.getsockname()[1])
        probe.close()
        try:
            deliveries = deliver(world.events, ROUGH, seed=seed)
            posted = asyncio.run(_killed(center, deliveries, kills, random.Random(seed), tally))
            tally.counts.update(kills_events=len(world.events), kills_attempts=posted.statuses.total())
            _judge(center, world, posted, tally)
        except AssertionError as error:
            tally.failures.append(str(error)[-3000:])
            tally.counts["kills_not_recovered"] += 1
        finally:
            if center.servers and center.server.poll() is None:
                center.server.kill()
                center.server.wait()
    return tally


async def _killed(
    center: Center, deliveries: list[SimulatedDelivery], kills: int, rng: random.Random, tally: Tally
) -> Posted:
    """Post all of it to a server that is killed again and again; it is up when this returns."""
    url = f"http://127.0.0.1:{center.port}/webhooks/telnyx"
    pace = len(deliveries) / (kills * A_KILL_S)
    posting = asyncio.create_task(post(deliveries, url=url, key=KEY, rate=pace, retries=PATIENT))
    for _ in range(kills):
        lives = len(center.servers)
        starting = asyncio.create_task(asyncio.to_thread(center.start))
        while len(center.servers) == lives:  # noqa: ASYNC110 - it is another thread that appends
            await asyncio.sleep(0.01)
        if rng.random() < WHILE_SERVING:
            await starting
        await asyncio.sleep(rng.uniform(0, A_KILL_S))
        assert center.server.poll() is None, f"the server ended by itself: {center.words}"
        tally.counts["kills_while_serving"] += starting.done()
        center.stop(signal.SIGKILL)
        with suppress(AssertionError):  # that it did not become ready is no wonder
            await starting
    await asyncio.to_thread(center.start)
    return await posting


def _judge(center: Center, world: World, posted: Posted, tally: Tally) -> None:
    """Wait for what was taken to be landed, stop, and compare."""
    truth = truth_of(world)
    try:
        center.until_found(truth)
    except AssertionError as error:
        tally.failures.append(f"facts: {error}")
        tally.counts["kills_untrue"] += 1
    code = center.stop(signal.SIGTERM)
    if code != 0:
        tally.failures.append(f"the last server ended with {code}: {center.words}")
        tally.counts["kills_not_recovered"] += 1
    with closing(duckdb.connect(center.folder / "replica.duckdb", read_only=True)) as db:
        stored = Counter(event_id for (event_id,) in db.execute("select event_id from events").fetchall())
    sent = {event.event_id for event in world.events}
    lost, twice = sent - stored.keys() - set(posted.given_up), [each for each, times in stored.items() if times > 1]
    tally.counts.update(kills_lost=len(lost), kills_twice=len(twice), kills_given_up=len(posted.given_up))
    if lost or twice or stored.keys() - sent or posted.given_up:
        tally.failures.append(
            f"lost {sorted(lost)[:3]}, twice {twice[:3]}, forged {sorted(stored.keys() - sent)[:3]}, "
            f"given up {posted.given_up[:3]}"
        )


CAMPAIGN = Campaign(
    "kills",
    run,
    200,
    5,
    25,
    1_200,
    ("kills_lost", "kills_twice", "kills_untrue", "kills_not_recovered", "kills_given_up"),
)
