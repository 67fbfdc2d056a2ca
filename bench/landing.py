"""How fast events land, over DuckDB's `read_json` reading the same ones, and whether history slows landing down.

`landing_vs_read_json`: events landed a second, from the SQLite log to facts on disk, checkpoint included, in batches as
large as a processor takes; over the events a second that `read_json` makes a table of, from a file of the same bodies,
all columns. `landing_10k_vs_read_json`: the same with batches of 10,000. `landing_flatness`: the time to land a batch
of 5,000 events after 20 million others, 50,000 calls left open among them, over that after 0.2 million at the same
density.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from eventlog.log import Record
from eventlog.sqlite.log import SqliteLog
from holdtime.service import allocator
from processors.app import MAX_RECORDS
from processors.landing.landing import Landing
from processors.landing.prefetcher import Prefetcher
from processors.landing.speculator import Preparer
from simulator import Plan, simulate
from warehouse.database import open_writer

START = datetime(2026, 3, 2, tzinfo=UTC)
HISTORY = Path(__file__).with_name("history.sql")
BATCH = 5_000
OPEN = 50_000
"""How many calls of the month before were left open, in the longest history; in shorter ones, in proportion."""
LINES, LOG = "events.ndjson", "log.sqlite"


def measure(*, quick: bool) -> dict[str, float | str]:
    """Return the ratios, with the rates and times behind them. Quick takes about 1 minute, else about 6."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {**_against_read_json(folder, quick=quick), **_flatness(folder, quick=quick)}


def _against_read_json(folder: Path, *, quick: bool) -> dict[str, float | str]:
    days, rounds = (8, 3) if quick else (15, 5)
    bodies = [
        event.body for event in simulate(Plan.medium(), seed=1, start=START, duration=timedelta(days=days)).events
    ]
    (folder / LINES).write_bytes(b"\n".join(bodies))
    asyncio.run(_fill(folder / LOG, bodies))
    times: dict[str, list[float]] = _in_a_process(f"_alternate({str(folder)!r}, {rounds})")

    def ratio(name: str) -> float:
        return statistics.median(a / b for a, b in zip(times["read_json"], times[name], strict=True))

    return {
        "landing_vs_read_json": round(ratio("landing"), 3),
        "landing_10k_vs_read_json": round(ratio("landing_10k"), 3),
        "landing_events": len(bodies),
        **{f"{name}_per_s": round(len(bodies) / statistics.median(taken)) for name, taken in times.items()},
    }


def _in_a_process(call: str) -> dict[str, Any]:
    """What a function of this module prints, as JSON: in a process of its own, as a processor has.

    What simulating a month leaves on the heap would be measured too.
    """
    script = f"from bench import landing; landing.{call}"
    told = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, env=os.environ)
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def _alternate(name: str, rounds: int) -> None:
    """Print the times of each round, as JSON."""
    folder = Path(name)
    times: dict[str, list[float]] = {"read_json": [], "landing": [], "landing_10k": []}
    for _ in range(rounds):
        times["read_json"].append(_read_json(folder / LINES))
        times["landing"].append(_land(folder / LOG, folder, MAX_RECORDS))
        times["landing_10k"].append(_land(folder / LOG, folder, 10_000))
    sys.stdout.write(json.dumps(times))


async def _fill(path: Path, bodies: list[bytes]) -> None:
    log = SqliteLog(path)
    await log.start()
    for start in range(0, len(bodies), 500):
        await asyncio.gather(*(log.append(Record(body, 1_800_000_000_000_000)) for body in bodies[start : start + 500]))
    await log.close()


def _read_json(lines: Path) -> float:
    began = time.perf_counter()
    with duckdb.connect() as db:
        db.execute("create table t as select * from read_json(?, format = 'newline_delimited')", [str(lines)])
    return time.perf_counter() - began


def _land(log: Path, folder: Path, records: int) -> float:
    warehouse = folder / "warehouse.duckdb"
    db = open_writer(warehouse)
    landing, now = Landing(db), datetime.now(UTC)
    began = time.perf_counter()
    with Prefetcher(SqliteLog(log), records, Preparer()) as reading:
        while len((prepared := reading.read(landing.positions())).batch):
            landing.land(prepared, now)
    db.execute("checkpoint")
    took = time.perf_counter() - began
    db.close()
    warehouse.unlink()
    return took


def _flatness(folder: Path, *, quick: bool) -> dict[str, float | str]:
    """Each batch in both warehouses, in turn, so that a slow moment of the machine is a slow moment of both."""
    sizes = {"short": 200_000, "long": 2_000_000 if quick else 20_000_000}
    for name, events in sizes.items():
        _make_history(folder / f"{name}.duckdb", events)
    batches = 12 if quick else 30
    world = simulate(Plan.medium(), seed=2, start=START, duration=timedelta(days=batches // 4 + 2))
    (folder / "tip.ndjson").write_bytes(b"\n".join(event.body for event in world.events))
    found = _in_a_process(f"_land_at_tip({str(folder)!r}, {batches})")
    return {
        "landing_flatness": round(statistics.median(found["long"]) / statistics.median(found["short"]), 3),
        "landing_flatness_history_events": sizes["long"],
        "landing_5k_ms_short_history": round(1000 * statistics.median(found["short"]), 1),
        "landing_5k_ms_long_history": round(1000 * statistics.median(found["long"]), 1),
        "checkpoint_ms_short_history": round(1000 * found["checkpoint_short"], 1),
        "checkpoint_ms_long_history": round(1000 * found["checkpoint_long"], 1),
        "landing_peak_memory_mib": found["peak_mib"],
    }


def _make_history(path: Path, events: int) -> None:
    """A year's events at most, and their facts, straight into the tables, ending where the batches begin."""
    with open_writer(path, memory_limit="4GB") as db:
        for statement in HISTORY.read_text().split(";\n"):
            if statement.strip():
                known = {"calls": events // 10, "tip": START, "open": min(OPEN, events // 400)}
                db.execute(statement, {name: value for name, value in known.items() if f"${name}" in statement})
        db.execute("checkpoint")


def _land_at_tip(name: str, batches: int) -> None:
    """Print the times of each batch, as JSON, and this process's peak memory."""
    from eventlog.batch import Batch

    bodies = (line.rstrip(b"\n") for line in (Path(name) / "tip.ndjson").open("rb"))
    opened = {size: open_writer(Path(name) / f"{size}.duckdb") for size in ("short", "long")}
    landings = {size: Landing(db) for size, db in opened.items()}
    times: dict[str, list[float]] = {"short": [], "long": []}
    for number in range(batches):
        part = list(islice(bodies, BATCH))
        count = len(part)
        batch = Batch.of(
            partitions=[0] * count,
            offsets=range(number * BATCH, number * BATCH + count),
            received_us=[1_800_000_000_000_000] * count,
            origins=["webhook"] * count,
            verified=[True] * count,
            rejections=[None] * count,
            bodies=part,
        )
        for size in ("short", "long") if number % 2 else ("long", "short"):
            began = time.perf_counter()
            landings[size].land(batch, START)
            if number >= 2:  # the first ones warm up
                times[size].append(time.perf_counter() - began)
    found: dict[str, object] = dict(times)
    for size, db in opened.items():
        began = time.perf_counter()
        db.execute("checkpoint")
        found[f"checkpoint_{size}"] = time.perf_counter() - began
    # Not getrusage: what it calls a child's peak includes its parent's, up to the moment it was started.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    found["peak_mib"] = int(peak.split()[1]) // 1024
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    allocator.enlarge_cache()
    sys.stdout.write(json.dumps(measure(quick="--quick" in sys.argv), indent=2) + "\n")
