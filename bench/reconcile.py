"""`python -m bench.reconcile [--events N] [--lost SHARE]`: a week of a center, reconciled; memory, requests.

The center's warehouse has what was not lost. What Telnyx holds is served by a process of its own, so that the memory
measured is the reconciler's: `holdtime reconcile --once --since 8d` as anybody runs it.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import psutil
import uvicorn

from holdtime.simulator import Plan, World, simulate
from holdtime.simulator.api import Account, application
from processors.landing import Landing
from tests.builders import a_batch
from tests.served import KEY, frozen
from warehouse.database import open_writer
from warehouse.replica import publish

EVENTS_A_DAY = 27_000
"""Of `Plan.medium()`."""
BATCH = 100_000


def main() -> None:
    """Measure, print."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = get_context("spawn").Pipe()
        serving = get_context("spawn").Process(target=_serve, args=(theirs, folder, arguments.events, arguments.lost))
        serving.start()
        url, events, lost = ours.recv()
        print(f"{events:,} events in a week, {lost:,} lost", flush=True)
        for nth in (1, 2):
            seconds, peak, words = _reconciled(folder, url)
            print(f"run {nth}: {seconds:.0f} s, at most {peak / 2**20:.0f} MiB\n{words}", flush=True)
        ours.send("stop")
        serving.join()
        with duckdb.connect(folder / "replica.duckdb", read_only=True) as db:
            found = db.execute("select count(*) from events where event_type not like 'reconciler.%'").fetchall()
        print(f"{found[0][0]:,} of {events:,} originals are there")


def _world(events: int) -> World:
    """A week that has about so many webhooks."""
    factor = events / (7 * EVENTS_A_DAY)
    plan = Plan.medium()
    queues = tuple(
        replace(
            queue,
            calls_per_hour=tuple(calls * factor for calls in queue.calls_per_hour),
            agents=tuple(max(1, round(agents * factor)) for agents in queue.agents),
        )
        for queue in plan.queues
    )
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=7, hours=2)
    return simulate(replace(plan, queues=queues), seed=1, start=start, duration=timedelta(days=7))


def _serve(pipe: Connection, folder: Path, events: int, share: float) -> None:
    """Make the world and the warehouse, then serve the API until told to stop."""
    world = _world(events)
    rng = random.Random(1)
    lost = {event.event_id for event in world.events if rng.random() < share}
    now = datetime.now(UTC)
    db = open_writer(folder / "warehouse.duckdb", memory_limit="1GB")
    landing = Landing(db)
    came = [event.body for event in world.events if event.event_id not in lost]
    for start in range(0, len(came), BATCH):
        landing.land(a_batch(came[start : start + BATCH], first_offset=start + 1, received=now), now)
    db.execute("delete from log_positions")  # there is no log behind it
    publish(db, folder / "warehouse.duckdb", folder / "replica.duckdb")
    db.close()
    account = Account.of(world, now=frozen(now), lost=lost)
    server = uvicorn.Server(uvicorn.Config(application(account, key=KEY), host="127.0.0.1", port=0, log_level="error"))

    async def serve() -> None:

        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        pipe.send((f"http://127.0.0.1:{port}/v2", len(world.events), len(lost)))
        await asyncio.to_thread(pipe.recv)
        server.should_exit = True
        await serving

    asyncio.run(serve())


def _reconciled(folder: Path, url: str) -> tuple[float, int, str]:
    """Reconcile; the seconds that it took, the most memory, and what it said."""
    (folder / "holdtime.toml").write_text("[reconciler]\nrequests_a_minute = 100000\n")
    environment = {
        **os.environ,
        "TELNYX_API_KEY": KEY,
        "TELNYX_BASE_URL": url,
        "HOLDTIME_LOG": f"sqlite:{folder / 'log.sqlite'}",
        "HOLDTIME_WAREHOUSE": str(folder / "warehouse.duckdb"),
        "HOLDTIME_REPLICA": str(folder / "replica.duckdb"),
    }
    began, peak = time.monotonic(), 0
    with (folder / "words").open("w+") as words:
        command = [sys.executable, "-m", "holdtime", "reconcile", "--once", "--since", "8d"]
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=words, stderr=words)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
        process.wait()
        words.seek(0)
        said = [line for line in words if not line.startswith("{")]
    return time.monotonic() - began, peak, "".join(said)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.reconcile", description="Reconcile a week.")
    parser.add_argument("--events", type=int, default=1_000_000, help="about so many webhooks in the week; 1,000,000")
    parser.add_argument("--lost", type=float, default=0.05, help="share of them that never came; 0.05")
    return parser.parse_args()


if __name__ == "__main__":
    main()
