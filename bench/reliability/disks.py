"""A full disk at each place that holdtime writes to: deliveries are taken as long as the log has room, and all resumes.

One trial is one place on a small disk of its own (tmpfs), filled to the last byte while signed webhooks are posted, and
freed again. Needs the right to mount: where that is not given, the trial fails and says so.
"""

import asyncio
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
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
from tests.support.center import KEY, Center
from tests.support.worlds import a_quiet_world, truth_of

PLACES = ("log", "warehouse", "temp", "replica", "output", "ledger")
"""The warehouse's write-ahead log is beside it; `temp` is where DuckDB puts what does not fit into memory."""

DISK = {"log": "24m", "warehouse": "24m", "temp": "1m", "replica": "24m", "output": "1m", "ledger": "1m"}
FULL_S = 8.0
RESUMES_S = 10.0
PATIENT = Retries(limit=10_000, first_s=0.05, most_s=0.2, total_s=300)
SCHEDULE = """
[[schedule]]
name = "minutely"
report = "queues"
cron = "* * * * *"
recipients = ["json://127.0.0.1:9/"]
"""


@dataclass
class SmallDisk(Center):
    """A center of which one place is on a small disk."""

    place: str = "log"
    disk: Path = field(default_factory=Path)

    @property
    def environment(self) -> dict[str, str]:
        """As for any center, but for that place."""
        given = {
            "log": {"HOLDTIME_LOG": f"sqlite:{self.disk / 'log.sqlite'}"},
            "warehouse": {"HOLDTIME_WAREHOUSE": str(self.disk / "warehouse.duckdb")},
            "replica": {"HOLDTIME_REPLICA": str(self.disk / "replica.duckdb")},
            "ledger": {"HOLDTIME_SCHEDULES": str(self.disk / "schedules.sqlite")},
        }
        return {**super().environment, **given.get(self.place, {})}


def run(seed: int, trials: int) -> Tally:
    """Fill so many disks, one after the other."""
    tally = Tally(trials=trials)
    for number in range(trials):
        place = PLACES[(seed + number) % len(PLACES)]
        with tempfile.TemporaryDirectory() as name:
            try:
                with mounted(Path(name) / ("warehouse.tmp" if place == "temp" else "disk"), DISK[place]) as disk:
                    _tried(SmallDisk(Path(name), _free_port(), place=place, disk=disk), seed + number, tally)
            except (AssertionError, OSError) as error:
                tally.failures.append(f"{place}: {str(error)[-3000:]}")
                tally.counts["disks_not_recovered"] += 1
    return tally


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A disk of that size. Raises OSError where this user may not mount one."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise OSError(f"THIS CAMPAIGN NEEDS THE RIGHT TO MOUNT (root): mount said {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _tried(center: SmallDisk, seed: int, tally: Tally) -> None:
    if center.place == "ledger":
        (center.folder / "holdtime.toml").write_text(SCHEDULE)
    world = a_quiet_world(seed=seed, duration=timedelta(hours=1))
    deliveries = deliver(world.events)
    random.Random(seed).shuffle(deliveries)
    try:
        center.start()
        asyncio.run(_filled(center, deliveries, tally))
        _judge(center, world, tally)
    finally:
        for server in center.servers:
            with suppress(ProcessLookupError):
                server.kill()
            server.wait()


async def _filled(center: SmallDisk, deliveries: list[SimulatedDelivery], tally: Tally) -> None:
    """Post a third; then with the disk full another; then, with room again, the rest."""
    third = len(deliveries) // 3
    await center.post(deliveries[:third])
    await asyncio.sleep(1)
    filler = center.disk / "filler"
    _fill(filler)
    url = f"http://127.0.0.1:{center.port}/webhooks/telnyx"
    # Those who are turned away come again, until there is room.
    posting = asyncio.create_task(
        post(deliveries[third : 2 * third], url=url, key=KEY, rate=third / FULL_S, retries=PATIENT)
    )
    began, said = time.monotonic(), False
    while time.monotonic() - began < FULL_S:
        status = await asyncio.to_thread(center.status)
        said = said or "No space left" in json.dumps(status)
        assert center.server.poll() is None, f"the process ended: {center.words}"
        if center.place == "output":
            await asyncio.to_thread(_report, center, tally)
        await asyncio.to_thread(_fill, filler)
        await asyncio.sleep(0.5)
    if center.place in {"warehouse", "replica"} and not said:
        tally.failures.append(f"{center.place}: its disk was full, and /status did not say so")
        tally.counts["disks_untold"] += 1
    filler.unlink()
    await _resumed(center, tally)
    _count(center.place, await posting, tally)
    await center.post(deliveries[2 * third :])
    await _landed(center)


def _fill(filler: Path) -> None:
    """Leave not a byte."""
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 4_096, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def _count(place: str, posted: Posted, tally: Tally) -> None:
    """What deliveries were answered: nothing but 200, unless the log's own disk is full, and then 503."""
    allowed = {200, 503} if place == "log" else {200}
    tally.counts["disks_wrong_answers"] += sum(times for code, times in posted.statuses.items() if code not in allowed)
    tally.counts["disks_turned_away"] += posted.statuses[503]
    if place == "log" and not posted.statuses[503]:
        tally.failures.append("the log's disk was full, and no delivery was turned away")
        tally.counts["disks_wrong_answers"] += 1


def _report(center: SmallDisk, tally: Tally) -> None:
    """Write a report to the full disk: one line says why not, the good one is not cut, and nothing is a traceback."""
    output = center.disk / "report.html"
    command = ["report", "queues", "--from", "2026-02", "--to", "2026-03", "--format", "html", "--output", str(output)]
    ended = subprocess.run(
        [sys.executable, "-m", "holdtime", *command],
        cwd=center.folder,
        env=center.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    bad = ended.returncode not in {1, 2} or "Traceback" in ended.stderr or len(ended.stderr.strip().splitlines()) != 1
    if bad:
        tally.failures.append(f"report to a full disk, rc {ended.returncode}: {ended.stderr[-1000:]}")
        tally.counts["disks_untold"] += 1


async def _resumed(center: SmallDisk, tally: Tally) -> None:
    """Wait until deliveries are taken, landed and published again; count it where that took too long."""
    freed = time.monotonic()
    while True:
        assert center.server.poll() is None, f"the process ended: {center.words}"
        status = await asyncio.to_thread(center.status)
        if not (status["landing_away"] or status["replica_failing"] or await asyncio.to_thread(_unready, center)):
            break
        assert time.monotonic() - freed < 10 * RESUMES_S, f"still {status}: {center.words}"
        await asyncio.sleep(0.1)
    tally.counts["disks_too_slow"] += time.monotonic() - freed > RESUMES_S
    tally.counts["disks_restarts"] += len(center.servers) - 1


async def _landed(center: SmallDisk) -> None:
    began = time.monotonic()
    while (await asyncio.to_thread(center.status))["lag_events"]:
        assert time.monotonic() - began < 10 * RESUMES_S, f"still not landed: {center.words}"
        await asyncio.sleep(0.1)


def _unready(center: SmallDisk) -> bool:
    try:
        return center.get("/readyz") != b"ready\n"
    except OSError:
        return True


def _judge(center: SmallDisk, world: World, tally: Tally) -> None:
    replica = Path(center.environment["HOLDTIME_REPLICA"])
    sent = {event.event_id for event in world.events}
    give_up = time.monotonic() + 30
    stored: Counter[str] = Counter()
    while sent - stored.keys() and time.monotonic() < give_up:
        with closing(duckdb.connect(replica, read_only=True)) as db:
            stored = Counter(event_id for (event_id,) in db.execute("select event_id from events").fetchall())
        time.sleep(0.2)
    tally.counts["disks_events"] += len(sent)
    tally.counts["disks_lost"] += len(sent - stored.keys())
    tally.counts["disks_twice"] += sum(times > 1 for times in stored.values())
    if center.place != "replica" and center.found() != truth_of(world):
        tally.counts["disks_untrue"] += 1
        tally.failures.append(f"{center.place}: the facts are not as it happened")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


CAMPAIGN = Campaign(
    "disks",
    run,
    12,
    len(PLACES),
    1,
    600,
    (
        "disks_lost",
        "disks_twice",
        "disks_untrue",
        "disks_wrong_answers",
        "disks_untold",
        "disks_not_recovered",
        "disks_too_slow",
        "disks_restarts",
    ),
)
