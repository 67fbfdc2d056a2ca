"""One flipped bit, anywhere in a file of holdtime's: ingest goes on, nothing is silently wrong, and damage is told.

One trial is one bit of one file: the log, its WAL, a spool, the ledger of schedules, the warehouse or its WAL. Most are
opened in this process; the warehouse's, and one in ten of the log's, by a `holdtime up`, which takes another delivery.
"""

import asyncio
import contextlib
import json
import random
import shutil
import signal
import socket
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import URLError

import duckdb
from structlog.testing import capture_logs

from bench.reliability.campaign import Campaign, Tally
from eventlog.log import (
    DAMAGED,
    Record,
    records_of,
)
from eventlog.signature_headers import SignatureHeaders
from eventlog.sqlite.log import SqliteLog
from schedules.ledger import Ledger, LedgerError
from schedules.record import (
    DeliveryState,
    RunId,
    RunKind,
    RunState,
)
from simulator import deliver
from tests.support.center import Center
from tests.support.waiting import until
from tests.support.worlds import a_quiet_world, truth_of

HELD = 400
RUN = RunId("daily", RunKind.CRON, datetime(2026, 3, 30, 4, tzinfo=UTC))
TARGETS = ("log", "log-wal", "spool", "ledger", "ledger-wal", "up-log", "warehouse", "warehouse-wal")
WEIGHTS = (6, 6, 4, 4, 2, 2, 3, 3)


def run(seed: int, flips: int) -> Tally:
    """Flip so many bits, each in a fresh copy of what was made once."""
    tally, rng = Tally(trials=flips), random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        made = Made(Path(name), seed)
        for trial in range(flips):
            target = rng.choices(TARGETS, WEIGHTS)[0]
            folder = Path(name) / f"trial-{trial}"
            tally.counts[f"flips_{target}"] += 1
            try:
                made.try_one(target, folder, rng, tally)
            except Exception as error:  # noqa: BLE001 - whatever is raised is what the campaign looks for
                tally.counts["flips_crashes"] += 1
                tally.failures.append(f"{target}: {type(error).__name__} {error}"[:3000])
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return tally


class Made:
    """What is damaged in copies: a log, closed or crashed, a ledger likewise, and the folder of a killed `up`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.sent: dict[int, Record] = {}
        asyncio.run(self._make_log())
        self._make_ledger()
        world = a_quiet_world(seed=seed, duration=timedelta(minutes=20))
        self.truth = truth_of(world)
        self.last = deliver(world.events)[-1]
        self.center = a_center(folder / "center")
        self.center.start()
        asyncio.run(self.center.post(deliver(world.events)))
        self.center.until_found(self.truth)
        self.center.stop(signal.SIGKILL)

    async def _make_log(self) -> None:
        log = SqliteLog(self.folder / "open" / "log.sqlite")
        await log.start()
        for first in range(0, HELD, 5):
            await asyncio.gather(*(log.append(a_record(number)) for number in range(first, first + 5)))
        batch = await asyncio.to_thread(log.read, {}, HELD)
        self.sent = dict(zip(batch.offsets, records_of(batch), strict=True))
        shutil.copytree(self.folder / "open", self.folder / "log-wal")
        await log.close()
        shutil.copytree(self.folder / "open", self.folder / "log")

    def _make_ledger(self) -> None:
        path = self.folder / "ledgers" / "schedules.sqlite"
        with closing(Ledger(path)) as ledger:
            ledger.since("daily", "0 7 * * *", RUN.due)
            ledger.begin(RUN, RUN.due)
            ledger.decide(RUN, b"words", [("ann", "recipients 1")], RUN.due)
            ledger.attempt(RUN, "ann", RUN.due)
            ledger.settle(RUN, "ann", DeliveryState.SENT, "", RUN.due)
            ledger.end(RUN, RunState.DONE)
            shutil.copytree(path.parent, self.folder / "ledger-wal")
        shutil.copytree(path.parent, self.folder / "ledger")

    def try_one(self, target: str, folder: Path, rng: random.Random, tally: Tally) -> None:
        """Damage a copy, and judge what becomes of it."""
        if target.startswith("ledger"):
            shutil.copytree(self.folder / target, folder)
            flip(folder / f"schedules.sqlite{target.removeprefix('ledger')}", rng)
            self._judge_ledger(folder, tally)
        elif target in {"log", "log-wal", "spool"}:
            shutil.copytree(self.folder / ("log-wal" if target == "log-wal" else "log"), folder)
            flip(folder / ("log.sqlite-wal" if target == "log-wal" else "log.sqlite"), rng)
            asyncio.run(self._judge_log(folder, tally))
        else:
            shutil.copytree(self.center.folder, folder)
            name = {"up-log": "log.sqlite-wal", "warehouse": "warehouse.duckdb"}.get(target, "warehouse.duckdb.wal")
            if not (folder / name).exists() or not (folder / name).stat().st_size:
                name = name.removesuffix("-wal").removesuffix(".wal")
            flip(folder / name, rng)
            self._judge_up(folder, tally)

    async def _judge_log(self, folder: Path, tally: Tally) -> None:
        with capture_logs() as said:
            log = SqliteLog(folder / "log.sqlite")
            await log.start()
            found: dict[int, Record] = {}
            positions: dict[int, int] = {}
            while len(batch := await asyncio.to_thread(log.read, positions, 97)):
                found |= zip(batch.offsets, records_of(batch), strict=True)
                positions = batch.reached()
            await log.append(a_record(0))
            await log.close()
        damaged = {position for position, record in found.items() if record.rejection == DAMAGED}
        right = all(found[position] == self.sent.get(position) for position in found.keys() - damaged)
        missing = self.sent.keys() - found.keys()
        is_told = bool(said and log.set_aside())
        note(tally, wrong=not right, changed=bool(damaged or missing), told=is_told)

    def _judge_ledger(self, folder: Path, tally: Tally) -> None:
        with capture_logs() as said:
            try:
                with closing(Ledger(folder / "schedules.sqlite")) as ledger:
                    found = ledger.run(RUN)
                    states = [each.state for each in ledger.deliveries(RUN)]
            except LedgerError:
                note(tally, wrong=False, changed=True, told=True)
                return
        as_it_was = found is not None and found.state is RunState.DONE and states == [DeliveryState.SENT]
        note(tally, wrong=found is not None and not as_it_was, changed=found is None, told=bool(said))

    def _judge_up(self, folder: Path, tally: Tally) -> None:
        center = a_center(folder)
        (folder / "server.log").unlink(missing_ok=True)
        try:
            center.start()
            asyncio.run(center.post([self.last]))
            lag = until_landed(center)
            assert lag == 0, f"{lag} have not landed"
        finally:
            if center.servers:
                center.stop(signal.SIGTERM)
        found, named = center.found(), told_by(center)
        wrong = found != self.truth
        # A fact may differ where what it rests on is named as damaged; silently, none may.
        note(tally, wrong=wrong and not named, changed=wrong, told=named)


def a_record(number: int) -> Record:
    rng = random.Random(number)
    return Record(
        b"%d " % number + rng.randbytes(rng.choice([0, 600, 6_000])),
        number,
        signature_headers=SignatureHeaders(rng.randbytes(64), b"1"),
    )


def a_center(folder: Path) -> Center:
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Center(folder, probe.getsockname()[1])


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def note(tally: Tally, *, wrong: bool, changed: bool, told: bool) -> None:
    """Count a flip by what came of it."""
    tally.counts["flips_silently_wrong"] += wrong
    tally.counts["flips_untold"] += changed and not told
    tally.counts["flips_told"] += told
    tally.counts["flips_harmless"] += not changed and not told and not wrong


def until_landed(center: Center) -> int:
    """Wait until nothing is left to land and all of it is published; return how much is."""

    def status() -> dict[str, object]:
        with contextlib.suppress(URLError, OSError):
            found: dict[str, object] = json.loads(center.get("/status"))
            return found
        return {}

    until(lambda: status().get("lag_events") == 0, status)
    return 0


def told_by(center: Center) -> bool:
    """Whether anything was said of damage: in the log of the process, by files set aside, or in `rejected`."""
    is_set_aside = any("damaged" in each.name for each in center.folder.iterdir())
    with closing(duckdb.connect(center.folder / "replica.duckdb", read_only=True)) as db:
        rejected = db.execute("select count(*) from rejected where reason = 'damaged'").fetchone()
    return is_set_aside or bool(rejected and rejected[0]) or "damaged" in (center.folder / "server.log").read_text()


CAMPAIGN = Campaign("flips", run, 300, 40, 20, 900, ("flips_crashes", "flips_silently_wrong", "flips_untold"))
