"""How fast all facts are derived anew, over DuckDB's `read_json` reading the bodies of the same events.

`rebuild_vs_read_json`: events rebuilt a second, from the stored events to facts on disk, checkpoint included, in a
warehouse of 20 million; over the events a second that `read_json` makes a table of, all columns. What `read_json` reads
is a tenth of them, before the rebuild and after it: all of them would make a table larger than the memory.

The events are eight days of a simulated center, landed, and copies of them with other names at later times; the copies'
bodies are the originals'.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from bench.landing import _read_json
from eventlog.batch import Batch
from holdtime.service import allocator
from processors.facts import FACTS
from processors.landing.landing import Landing
from processors.replay.rebuild import MEMORY_LIMIT, rebuild
from simulator import Plan, simulate
from warehouse.database import open_writer
from warehouse.query import value

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 8


def measure(*, quick: bool) -> dict[str, float | str]:
    """Return the ratio, with the rates and the peak of memory behind it. Quick takes about 1 minute, else about 10."""
    world = simulate(Plan.medium(), seed=1, start=START, duration=timedelta(days=DAYS))
    bodies = [event.body for event in world.events]
    copies = -(-(2_000_000 if quick else 20_000_000) // len(bodies))
    with tempfile.TemporaryDirectory() as name:
        warehouse, lines = Path(name) / "warehouse.duckdb", Path(name) / "events.ndjson"
        facts = make_history(warehouse, bodies, copies)
        read = bodies * (1 if quick else max(1, copies // 10))
        lines.write_bytes(b"\n".join(read))
        rates = [len(read) / _read_json(lines) for _ in range(2)]
        rebuilt = _rebuilt_elsewhere(warehouse)
        rates += [len(read) / _read_json(lines) for _ in range(2)]
    if rebuilt["facts"] != facts:
        raise RuntimeError(f"expected {facts} facts after the rebuild, got {rebuilt['facts']}: not worth measuring")
    rate, read_json = len(bodies) * copies / rebuilt["seconds"], statistics.median(rates)
    return {
        "rebuild_vs_read_json": round(rate / read_json, 3),
        "rebuild_events": len(bodies) * copies,
        "rebuild_per_s": round(rate),
        "rebuild_read_json_per_s": round(read_json),
        "rebuild_peak_memory_mib": rebuilt["peak_mib"],
    }


def make_history(path: Path, bodies: list[bytes], copies: int) -> int:
    """Land the bodies, copy their events until there are `copies` of each; returns how many facts must follow."""
    many = len(bodies)
    with open_writer(path, memory_limit="4GB") as db:
        landing = Landing(db)
        for first in range(0, many, 100_000):
            part = bodies[first : first + 100_000]
            said = len(part)
            landing.land(
                Batch.of(
                    partitions=[0] * said,
                    offsets=range(first, first + said),
                    received_us=[1_800_000_000_000_000] * said,
                    origins=["webhook"] * said,
                    verified=[True] * said,
                    rejections=[None] * said,
                    bodies=part,
                ),
                START + timedelta(days=10_000),
            )
        db.execute("create temp table originals as from stored_events")
        for copy in range(1, copies):
            db.execute(
                """
                insert into stored_events
                select * replace (
                    $copy || '/' || event_id as event_id,
                    occurred_at + $later as occurred_at,
                    $copy || '/' || entity as entity,
                    $copy || '/' || call_control_id as call_control_id,
                    $copy || '/' || call_leg_id as call_leg_id,
                    $copy || '/' || call_session_id as call_session_id,
                    $copy || '/' || conference_id as conference_id
                )
                from originals
                order by occurred_at
                """,
                {"copy": str(copy), "later": copy * timedelta(days=DAYS)},
            )
        facts = copies * _facts(db)
        db.execute("checkpoint")
    return facts


def _facts(db: duckdb.DuckDBPyConnection) -> int:
    return sum(value(db, f"select count(*) from {fact.table}") for fact in FACTS)


def _rebuilt_elsewhere(path: Path) -> dict[str, int | float]:
    """In a process of its own, so that its peak of memory is its own."""
    script = f"from bench.rebuild import rebuilt; rebuilt({str(path)!r})"
    told = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, env=os.environ)
    found: dict[str, int | float] = json.loads(told.stdout)
    return found


def rebuilt(path: str) -> None:
    """Rebuild the warehouse; print the seconds it took, how many facts there are, and the peak of memory, as JSON."""
    db = open_writer(Path(path), memory_limit=MEMORY_LIMIT, bulk=True)
    began = time.perf_counter()
    for _ in rebuild(db):
        pass
    db.execute("checkpoint")
    seconds = time.perf_counter() - began
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    found = {"seconds": seconds, "facts": _facts(db), "peak_mib": int(peak.split()[1]) // 1024}
    db.close()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    allocator.enlarge_cache()
    sys.stdout.write(json.dumps(measure(quick="--quick" in sys.argv), indent=2) + "\n")
