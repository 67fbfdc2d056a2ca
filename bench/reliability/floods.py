"""Floods of a thousand hostile connections: real deliveries beside them are taken, all of them and soon.

A trial is a second of a flood. Each kind floods for as long, one after the other, on one server; the clients are a
process of their own. Meanwhile 50 signed deliveries a second come, each over a new connection.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from itertools import cycle
from pathlib import Path

from nacl.signing import SigningKey

from bench.reliability.campaign import Campaign, Tally
from bench.reliability.edge import deliver_soon, rss_mib
from bench.reliability.flooder import KINDS
from holdtime.commands.server import Server, ServerError
from holdtime.commands.simulate import Simulation
from simulator import Plan, simulate
from tests.support.builders import NOON

CONNECTIONS = 1_000
RATE = 50
SETTLED_S = 60.0
"""How long deliveries come before the first flood: landing takes the memory that it needs meanwhile."""
P99_MS = 500
GROWTH_MIB = 64


def run(seed: int, seconds: int) -> Tally:
    """Flood one server for so long."""
    tally = Tally(trials=seconds)
    world = simulate(Plan.medium(), seed=seed, start=NOON, duration=timedelta(minutes=20))
    bodies = cycle([event.body for event in world.events])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulation = Simulation.prepare(folder / "key")
        try:
            with Server.started(folder, public_key=simulation.public_key) as server:
                asyncio.run(_flooded(server, simulation.key, bodies, seconds / len(KINDS), tally))
        except ServerError as error:
            tally.counts["floods_failures"] += 1
            tally.failures.append(f"{error}: {(folder / 'server.log').read_text()[-1500:]}")
    return tally


async def _flooded(server: Server, key: SigningKey, bodies: "cycle[bytes]", seconds: float, tally: Tally) -> None:
    port, pid = int(server.address.rpartition(":")[2]), server.process.pid
    await _delivered(port, key, bodies, SETTLED_S)
    for kind in KINDS:
        before = rss_mib(pid)  # of each flood what it adds: landing alone adds some 17 MiB a minute at first
        command = [sys.executable, "-m", "bench.reliability.flooder", kind, str(port), str(seconds), str(CONNECTIONS)]
        flooder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, preexec_fn=_yields)
        answers = await _delivered(port, key, bodies, seconds)
        grown = rss_mib(pid) - before
        closed, _ = await flooder.communicate()
        failed = [status for status, _ in answers if status != 200]
        p99_ms = round(sorted(took for _, took in answers)[len(answers) * 99 // 100] * 1000)
        tally.counts[f"floods_{kind}_p99_ms"] = p99_ms
        tally.counts[f"floods_{kind}_rss_growth_mib"] = round(grown)
        tally.counts["floods_p99_ms"] = max(tally.counts["floods_p99_ms"], p99_ms)
        tally.counts["floods_rss_growth_mib"] = max(tally.counts["floods_rss_growth_mib"], round(grown))
        tally.counts["floods_failures"] += len(failed)
        tally.counts["floods_deliveries"] += len(answers)
        tally.counts["floods_slow_closed"] += int(closed)
        if failed:
            tally.failures.append(f"{kind}: {len(failed)} of {len(answers)} deliveries failed, such as {failed[:5]}")


async def _delivered(port: int, key: SigningKey, bodies: "cycle[bytes]", seconds: float) -> list[tuple[int, float]]:
    """Post deliveries at the rate for so long; return each one's status and seconds."""
    loop = asyncio.get_running_loop()
    began, posts = loop.time(), []
    for number in range(int(seconds * RATE)):
        await asyncio.sleep(max(0.0, began + number / RATE - loop.time()))
        posts.append(asyncio.create_task(deliver_soon(port, next(bodies), key)))
    return await asyncio.gather(*posts)


def _yields() -> None:
    """Let the server go first: the flood is on its machine, where no real one is."""
    os.nice(5)


CAMPAIGN = Campaign(
    "floods",
    run,
    360,
    60,
    360,
    1_200,
    ("floods_failures",),
    {"floods_p99_ms": P99_MS, "floods_rss_growth_mib": GROWTH_MIB},
)
