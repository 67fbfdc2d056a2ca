"""A clock that jumps by a day or by 400, while visits wait and deliveries come: nothing of it is left once it is right.

One trial is one jump of the wall clock under a `holdtime up`, by libfaketime, and back; some have the server killed and
started again meanwhile. Deliveries come that Telnyx signed, which are stale then, and some of a sender whose clock is
off as well. At the end what was stale is replayed, and every fact is that of a run without a jump.
"""

import base64
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from bench.reliability.campaign import Campaign, Tally
from eventlog.sqlite.log import SqliteLog
from processors.facts import FACTS
from tests.support.builders import (
    Event,
    a_call,
    a_conference,
    opened_warehouse,
)
from tests.support.center import KEY, Center
from tests.support.waiting import until

JUMPS = tuple(timedelta(days=days) for days in (-400, -1, 1, 400))
CALLS_A_JUMP = 12
KILLED = 0.3
"""Of jumps: those in which the server is killed, and started by the wrong clock."""

SETTLED_S = 1.5
NOT_THERE = "libfaketime is not there, so no clock can jump: apt-get install libfaketime"

Rows = dict[str, list[tuple[object, ...]]]


def library() -> Path | None:
    """libfaketime, installed where it is not there and that can be done; None where it cannot."""
    for _ in range(2):
        if found := sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")):
            return found[0]
        if os.geteuid() == 0:
            subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
            subprocess.run(["apt-get", "install", "-y", "-qq", "libfaketime"], capture_output=True, check=False)
    return None


@dataclass
class Jumpy(Center):
    """A server whose wall clock is off by what a file says; the clock that nobody sets goes on."""

    faketime: Path = Path()
    fakes: bool = True
    off: timedelta = timedelta(0)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def environment(self) -> dict[str, str]:
        """With `fakes` False, of a process whose clock is right."""
        if not self.fakes:
            return super().environment
        return {
            **super().environment,
            "LD_PRELOAD": str(self.faketime),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "off"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, off: timedelta) -> None:
        """Set its clock."""
        self.off = off
        written = self.folder / "off.new"
        written.write_text(f"{int(off.total_seconds()):+d}s")
        written.replace(self.folder / "off")

    def deliver(self, event: Event, *, signed_off: timedelta) -> int:
        """Post it, signed by a clock that is off so far; the status."""
        body = event.body()
        stamp = str(int(time.time() + signed_off.total_seconds())).encode()
        signature = base64.b64encode(KEY.sign(stamp + b"|" + body).signature).decode()
        headers = {"telnyx-signature-ed25519": signature, "telnyx-timestamp": stamp.decode()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("POST", "/webhooks/telnyx", body, headers)
            status = connection.getresponse().status
        self.statuses[status] += 1
        return status

    def facts(self) -> Rows:
        """All rows of all facts in the replica."""
        with closing(duckdb.connect(self.folder / "replica.duckdb", read_only=True)) as db:
            return rows(db)


def rows(db: duckdb.DuckDBPyConnection) -> Rows:
    """All rows of all facts."""
    db.execute("set timezone = 'UTC'")
    return {fact.table: sorted(db.execute(f"from {fact.table}").fetchall(), key=repr) for fact in FACTS}


def run(seed: int, jumps: int) -> Tally:
    """Let the clock of one server jump so often."""
    tally = Tally(trials=jumps)
    faketime = library()
    if faketime is None:
        tally.failures.append(NOT_THERE)
        tally.counts["clocks_not_tried"] += jumps
        return tally
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        center = Jumpy(Path(name), probe.getsockname()[1], faketime=faketime)
        probe.close()
        try:
            _judge(center, _jumped(center, jumps, random.Random(seed), tally), tally)
        except (AssertionError, OSError) as error:
            tally.failures.append(f"{error}"[-3000:])
            tally.counts["clocks_not_recovered"] += 1
        finally:
            if center.servers and center.server.poll() is None:
                center.server.kill()
                center.server.wait()
    return tally


def _jumped(center: Jumpy, jumps: int, rng: random.Random, tally: Tally) -> list[Event]:
    """Deliver a history around jumps; the clock is right when this returns. Returns all that was delivered."""
    said: list[Event] = []
    center.jump(timedelta(0))
    center.start()
    for turn in range(jumps):
        history = _history(f"{turn:03}", rng)
        said += history
        shares = [history[place::3] for place in range(3)]
        _deliver(center, shares[0], timedelta(0), tally)
        center.jump(rng.choice(JUMPS))
        if rng.random() < KILLED:
            center.stop(signal.SIGKILL)
            center.start()
            tally.counts["clocks_killed"] += 1
        _deliver(center, shares[1], rng.choice((timedelta(0), center.off)), tally)
        time.sleep(SETTLED_S)
        center.jump(timedelta(0))
        _deliver(center, shares[2], timedelta(0), tally)
        if center.server.poll() is not None:
            raise AssertionError(f"the server ended by itself: {center.words}")
    return said


def _history(name: str, rng: random.Random) -> list[Event]:
    """Some calls of the last minutes, some of which wait still, and a conference; in any order."""
    began = datetime.now(UTC) - timedelta(minutes=10)
    said: list[Event] = []
    for number in range(CALLS_A_JUMP):
        call = a_call(f"{name}-{number}").initiated(at=began + timedelta(seconds=number)).queued(after=1)
        if number % 3 == 1:
            call.answered(after=9, ringing=2).talked(30)
        if number % 3 == 2:
            call.abandoned(after=5)
        said += call
    long_ago = a_call(f"{name}-old").queued(at=began - timedelta(hours=30))
    room = a_conference(f"{name}-room", start=began).created().joined("ann", 1).left("ann", 60).ended(61)
    said += [*long_ago, *room]
    rng.shuffle(said)
    return said


def _deliver(center: Jumpy, events: list[Event], signed_off: timedelta, tally: Tally) -> None:
    fresh = abs(center.off - signed_off) < timedelta(minutes=5)
    for event in events:
        status = center.deliver(event, signed_off=signed_off)
        if status != (200 if fresh else 401):
            tally.counts["clocks_wrong_answers"] += 1
            tally.failures.append(f"{status} for a delivery that is {'fresh' if fresh else 'stale'}")


def _judge(center: Jumpy, said: list[Event], tally: Tally) -> None:
    """Stop, land what was stale, and compare with a warehouse that saw no jump."""
    until(lambda: json.loads(center.get("/status"))["lag_events"] == 0, lambda: center.get("/status"))
    # Under libfaketime time.sleep fails (EINVAL), also where no clock has jumped, and the end of a process may need it.
    center.stop(signal.SIGKILL)
    center.fakes = False
    center.start()
    code = center.stop(signal.SIGTERM)
    if code != 0:
        tally.failures.append(f"the server ended with {code}: {center.words}")
        tally.counts["clocks_not_recovered"] += 1
    log = SqliteLog(center.folder / "log.sqlite")
    kept = len(log.read({}, 10 * len(said)))
    replay = [sys.executable, "-m", "holdtime", "rejected", "replay", "--reason", "stale"]
    replayed = subprocess.run(
        replay, cwd=center.folder, env=center.environment, capture_output=True, text=True, check=False
    )
    if replayed.returncode != 0:
        raise AssertionError(f"what was stale was not replayed: {replayed.stderr}")
    with closing(duckdb.connect(center.folder / "replica.duckdb", read_only=True)) as db:
        stored = Counter(event_id for (event_id,) in db.execute("select event_id from events").fetchall())
        told = sum(stored.pop(each) for each in list(stored) if each not in {event.event_id for event in said})
    with opened_warehouse() as undisturbed:
        undisturbed.land(said, now=datetime.now(UTC))
        wanted, found = rows(undisturbed.db), center.facts()
    wrong = {
        table: [row for row in wanted[table] if row not in found[table]][:2]
        for table in wanted
        if wanted[table] != found[table]
    }
    tally.counts.update(
        clocks_deliveries=center.statuses.total(),
        clocks_stale=center.statuses[401],
        clocks_waiting=sum("waiting" in row for row in found["queue_visits"]),
        clocks_outages_told=told,
        clocks_lost=len(said) - len(stored),
        clocks_twice=sum(times > 1 for times in stored.values()),
        clocks_forgotten_by_the_log=max(0, center.statuses.total() + told - kept),
        clocks_untrue=len(wrong),
    )
    if wrong:
        tally.failures.append(f"facts: {wrong}"[:3000])


CAMPAIGN = Campaign(
    "clocks",
    run,
    40,
    8,
    8,
    600,
    (
        "clocks_not_tried",
        "clocks_lost",
        "clocks_twice",
        "clocks_untrue",
        "clocks_forgotten_by_the_log",
        "clocks_wrong_answers",
        "clocks_not_recovered",
    ),
)
