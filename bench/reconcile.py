"""`python -m bench.reconcile [--events N] [--lost SHARE]`: a week of a center, reconciled; memory, requests, the truth.

The center's warehouse has what was not lost. What Telnyx holds is served by a process of its own, so that the memory
measured is the reconciler's: what `holdtime reconcile --once --since 8d` does, twice.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import psutil
import uvicorn

from holdtime.service import allocator
from processors.landing.landing import Landing
from simulator import (
    TABLES,
    Plan,
    World,
    simulate,
)
from simulator.api import Account, application
from tests.support.builders import a_batch
from tests.support.served import KEY, frozen
from warehouse.database import open_writer
from warehouse.replica import publish

EVENTS = 1_000_000
QUICK_EVENTS = 60_000
LOST = 0.05
EVENTS_A_DAY = 27_000
"""Of `Plan.medium()`."""
BATCH = 100_000
PATIENCE_S = 7_200

PROGRAM = """
import json, sys
from datetime import timedelta
from holdtime.commands import reconcile
from holdtime.config import settings
from holdtime.service import logs
logs.configure()
outcomes = reconcile.run(settings.load(), since=timedelta(days=8), on_progress=lambda *_: None)
print(json.dumps([[each.source, each.read, each.published, each.requests, each.fault] for each in outcomes]))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One reconciliation: how long it took, how much memory at most, and what came of each source."""

    seconds: float
    peak_mib: float
    outcomes: list[list[Any]]

    @property
    def requests(self) -> int:
        return sum(requests for *_, requests, _ in self.outcomes)

    @property
    def published(self) -> int:
        return sum(published for _, _, published, *_ in self.outcomes)


def measure(*, quick: bool) -> dict[str, float | str]:
    """A week, for the table of all benchmarks."""
    return measured(QUICK_EVENTS if quick else EVENTS, LOST)


def measured(events: int, share: float) -> dict[str, float | str]:
    """Reconcile a week of about so many webhooks, of which that share never came; twice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = get_context("spawn").Pipe()
        serving = get_context("spawn").Process(target=_serve, args=(theirs, folder, events, share))
        serving.start()
        try:
            url, events, lost = _heard(ours)
            first, second = _reconciled(folder, url), _reconciled(folder, url)
            ours.send("check")
            back, untrue = _heard(ours)
        finally:
            serving.terminate()
            serving.join()
    return {
        "reconcile_events": events,
        "reconcile_lost": lost,
        "reconcile_seconds": round(first.seconds, 1),
        "reconcile_peak_memory_mib": round(first.peak_mib, 1),
        "reconcile_requests": first.requests,
        **{f"reconcile_requests_{source}": requests for source, _, _, requests, _ in first.outcomes},
        "reconcile_back": back / lost,
        "reconcile_untrue_tables": untrue,
        "reconcile_unread_sources": sum(fault is not None for run in (first, second) for *_, fault in run.outcomes),
        "reconcile_published_again": second.published,
    }


def _heard(pipe: Connection) -> Any:
    if not pipe.poll(PATIENCE_S):
        raise TimeoutError("the stand-in's process said nothing")
    return pipe.recv()


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
    """Make the world and the warehouse, then serve the API; when told to, compare the replica with the world."""
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
    pipe.send(_checked(folder, world, lost))


def _checked(folder: Path, world: World, lost: set[str]) -> tuple[int, int]:
    """How many of the lost ones are there, and how many tables of facts are not what happened."""
    with duckdb.connect(folder / "replica.duckdb", read_only=True) as db:
        db.execute("set timezone = 'UTC'")
        there = {event_id for (event_id,) in db.execute("select event_id from stored_events").fetchall()}
        untrue = 0
        for table, of in TABLES.items():
            columns = ", ".join(getattr(of, "_fields"))  # noqa: B009 - a NamedTuple's, which its type does not tell
            found = Counter(db.execute(f"select {columns} from {table}").fetchall())
            untrue += found != Counter(tuple(row) for row in getattr(world.truth, table))
    return len(lost & there), untrue


def _reconciled(folder: Path, url: str) -> Run:
    """Reconcile once, in a process of its own."""
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
    with (folder / "said").open("w+") as said, (folder / "words").open("w+") as words:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, cwd=folder, stdout=said, stderr=words
        )
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.05)
        if process.wait():
            words.seek(0)
            raise RuntimeError(words.read()[-3000:])
        said.seek(0)
        return Run(time.monotonic() - began, peak / 2**20, json.loads(said.read()))


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconcile", description="Reconcile a week.")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"about so many webhooks in the week; {EVENTS:,}")
    parser.add_argument("--lost", type=float, default=LOST, help=f"share of them that never came; {LOST}")
    arguments = parser.parse_args()
    for name, value in measured(arguments.events, arguments.lost).items():
        print(f"{name:<40}{value:>15,}", flush=True)


if __name__ == "__main__":
    allocator.enlarge_cache()
    main()
