"""`kill -9` of `holdtime reconcile` at any moment: what is left is what an unbroken one leaves.

One trial is one kill of a process that was at work. A share is one center that lost a twentieth of its webhooks, or in
every second share a whole hour of them: it is reconciled with a Telnyx that stands still, by processes that are killed,
and at last by one that is not. Then all that was lost is back, the facts are those of a center that was reconciled in
one go and what happened, and one more run publishes nothing.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from bench.reliability.campaign import Campaign, Tally
from processors.facts import FACTS
from processors.landing.landing import Landing
from simulator import TABLES, World
from simulator.api import Account, Manners
from tests.support.builders import Warehouse
from tests.support.served import (
    KEY,
    frozen,
    telnyx,
)
from tests.support.worlds import a_world
from tests.support.worlds import found as facts_of
from tests.support.worlds import rows as truth_of
from warehouse.database import open_writer
from warehouse.replica import publish

PATIENCE_S = 600
HOUR_US = 3_600_000_000
AFTERWARDS = datetime(2026, 3, 2, 17, 20, tzinfo=UTC)
MOST_REQUESTS = 15
"""An unbroken run asks twice as often, so that few come to their end before they are killed."""

PROGRAM = """
import sys
from datetime import datetime
from holdtime.commands import reconcile
from holdtime.config import settings
from holdtime.service import reconciling
now = datetime.fromisoformat(sys.argv[1])
made = reconciling.Reconciler
reconciling.Reconciler = lambda *given, **named: made(*given, **{**named, "clock": lambda: now})
outcomes = reconcile.run(settings.load(), since=None, on_progress=lambda *_: None)
sys.exit(any(each.fault for each in outcomes))
"""


@dataclass
class Trial:
    """A center that has lost webhooks, in a folder, and its Telnyx."""

    folder: Path
    seed: int
    manners: Manners = field(default_factory=Manners)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = a_world(self.seed)
        self.lost = _an_hour(self.world) if self.seed % 2 else _at_random(self.world)
        start = self.folder / "start"
        start.mkdir()
        db = open_writer(start / "warehouse.duckdb")
        came = [event.body for event in self.world.events if event.event_id not in self.lost]
        Warehouse(db, Landing(db)).land_bodies(came, now=AFTERWARDS, received=AFTERWARDS)
        db.execute("delete from log_positions")  # there is no log behind it
        publish(db, start / "warehouse.duckdb", start / "replica.duckdb")
        db.close()

    def unbroken(self) -> dict[str, list[str]]:
        """What an unbroken reconciliation leaves."""
        folder = self._copy("unbroken")
        with self._telnyx() as url:
            self._finish(folder, url)
        return self._state(folder)

    def killed(self, *, kills: int) -> Iterator[dict[str, list[str]]]:
        """What is left wherever one came to its end, by reconciliations that are killed at work so often in all."""
        rng, done = random.Random(self.seed), 0
        while done < kills:
            folder = self._copy(f"killed-{done}")
            with self._telnyx() as url:
                while done < kills and self._kill(folder, url, rng):
                    done += 1
                self._finish(folder, url)
                reached = self._reached(folder)
                self._finish(folder, url)
                assert self._reached(folder) == reached, "one more run published something"
            yield self._state(folder)

    def _kill(self, folder: Path, url: str, rng: random.Random) -> bool:
        """Start one, and kill it at work; False if it came to its end before."""
        process = self._started(folder, url)
        last = self._asked() + rng.randint(0, MOST_REQUESTS)
        while self._asked() < last and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.2))
        at_work = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        return at_work

    def _finish(self, folder: Path, url: str) -> None:
        assert self._started(folder, url).wait(PATIENCE_S) == 0, (folder / "words").read_text()

    def _reached(self, folder: Path) -> list[tuple[int, int]]:
        """The log's position when everything in it has landed."""
        with duckdb.connect(folder / "replica.duckdb", read_only=True) as db:
            return db.execute("select log_partition, log_offset from log_positions").fetchall()

    def _asked(self) -> int:
        return sum(self.manners.asked.values())

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.folder / "start", self.folder / name))

    def _started(self, folder: Path, url: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "TELNYX_API_KEY": KEY,
            "TELNYX_BASE_URL": url,
            "HOLDTIME_LOG": f"sqlite:{folder / 'log.sqlite'}",
            "HOLDTIME_WAREHOUSE": str(folder / "warehouse.duckdb"),
            "HOLDTIME_REPLICA": str(folder / "replica.duckdb"),
        }
        command = [sys.executable, "-c", PROGRAM, AFTERWARDS.isoformat()]
        with (folder / "words").open("ab") as words:
            return subprocess.Popen(command, env=environment, cwd=folder, stdout=words, stderr=words)

    def _telnyx(self) -> AbstractContextManager[str]:
        """The stand-in, at an address of its own."""
        return telnyx(Account.of(self.world, now=frozen(AFTERWARDS), lost=self.lost), self.manners)

    def _state(self, folder: Path) -> dict[str, list[str]]:
        """Every fact, and every event once; that the facts are true is asserted."""
        with duckdb.connect(folder / "replica.duckdb", read_only=True) as db:
            db.execute("set timezone = 'UTC'")
            state: dict[str, list[str]] = {
                fact.table: sorted(repr(row) for row in db.execute(f"from {fact.table}").fetchall()) for fact in FACTS
            }
            events = db.execute("select event_id, event_type from events").fetchall()
            state["events"] = sorted(map(" ".join, events))
            assert self.lost <= {event_id for event_id, _ in events}, "not all that was lost is back"
            warehouse: Any = type("Shown", (), {"db": db})
            for table in TABLES:
                assert facts_of(warehouse.db, table) == truth_of(self.world.truth, table), table
        return state


def _at_random(world: World) -> set[str]:
    rng = random.Random(f"{world.seed}/lost")
    return {event.event_id for event in world.events if rng.random() < 0.05}


def _an_hour(world: World) -> set[str]:
    """From the middle of the busiest time on."""
    middle = world.events[len(world.events) // 2].at
    return {event.event_id for event in world.events if middle <= event.at < middle + HOUR_US}


def run(seed: int, kills: int) -> Tally:
    """Kill a reconciler so many times."""
    tally = Tally(trials=kills)
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name), seed % 1000)
        try:
            wanted = trial.unbroken()
            for found in trial.killed(kills=kills):
                tally.counts["reconciled_ends"] += 1
                if found != wanted:
                    other = {name: sorted(set(wanted[name]) ^ set(found[name]))[:5] for name in wanted}
                    tally.failures.append(f"other than unbroken: {json.dumps(other)}")
                    tally.counts["reconciled_untrue"] += 1
        except AssertionError as error:
            tally.failures.append(str(error)[-3000:])
            tally.counts["reconciled_untrue"] += 1
        tally.counts["reconciled_lost_and_back"] += len(trial.lost)
    return tally


CAMPAIGN = Campaign("reconciled", run, 50, 4, 10, 600, ("reconciled_untrue",))
