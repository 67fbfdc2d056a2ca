"""A damaged ledger is told, set aside, and never makes anybody get a summary twice."""

import contextlib
import random
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from eventlog.sqlite import salvage
from schedules import ledger as ledger_module
from schedules.ledger import Ledger, LedgerError
from schedules.record import (
    DeliveryState,
    RunId,
    RunKind,
    RunState,
)

NOW = datetime(2026, 3, 30, 4, tzinfo=UTC)
RUN = RunId("daily", RunKind.CRON, NOW)
FIRST_VERSION = """
create table schedules (name text not null primary key, times text not null, since_us integer not null) without rowid;
create table runs (schedule text not null, kind text not null, due_us integer not null, started_us integer not null,
    state text not null, reason text not null default '', message blob, primary key (schedule, kind, due_us)
) without rowid;
create table deliveries (schedule text not null, kind text not null, due_us integer not null, recipient text not null,
    label text not null, state text not null, attempts integer not null default 0, at_us integer not null,
    reason text not null default '', primary key (schedule, kind, due_us, recipient)
) without rowid;
insert into schedules values ('daily', '0 7 * * *', 1);
insert into runs values ('daily', 'cron', 1774843200000000, 5, 'done', '', null);
pragma user_version = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "schedules.sqlite"


def sent(ledger: Ledger, run: RunId = RUN) -> None:
    """Write down a whole run that was sent, and that its schedule has other times since."""
    ledger.since("daily", "0 7 * * *", NOW)
    assert ledger.begin(run, run.due)
    ledger.decide(run, b"words", [("ann", "recipients 1"), ("bob", "recipients 2")], NOW)
    for each in ("ann", "bob"):
        ledger.attempt(run, each, NOW)
        ledger.settle(run, each, DeliveryState.SENT, "", NOW)
    ledger.end(run, RunState.DONE)
    ledger.since("daily", "0 8 * * *", NOW + timedelta(hours=1))


def test_what_was_written_is_whole_also_after_rows_were_replaced_and_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "KEPT_RUNS", 1)
    with contextlib.closing(Ledger(path)) as ledger:
        sent(ledger)
        sent(ledger, RunId("daily", RunKind.CRON, NOW + timedelta(days=401)))  # forgets the first
    with capture_logs() as said, contextlib.closing(Ledger(path)) as ledger:
        assert ledger.run(RUN) is None
    assert said == []


@pytest.mark.parametrize(
    "change",
    [
        "update runs set due_us = due_us - 1",
        "update deliveries set state = 'pending' where recipient = 'ann'",
        "delete from deliveries where recipient = 'bob'",
        "delete from integrity",
        "update schedules set since_us = cast(x'ff' as text)",
    ],
)
def test_a_row_that_is_not_as_it_was_written_sets_the_ledger_aside(path: Path, change: str) -> None:
    with contextlib.closing(Ledger(path)) as ledger:
        sent(ledger)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.create_function("row_checksum", -1, lambda *_: 0)
        for (trigger,) in db.execute("select name from sqlite_schema where type = 'trigger'").fetchall():
            db.execute(f"drop trigger {trigger}")
        db.execute(change)
    with pytest.raises(LedgerError, match="not as they were written"), Ledger.reading(path):
        pass
    with capture_logs() as said, contextlib.closing(Ledger(path)) as ledger:
        assert ledger.since("daily", "0 8 * * *", NOW) == NOW, "what was due before is not due again"
    assert [line["event"] for line in said] == ["ledger_damaged"]
    assert [str(each) for each in salvage.set_aside(path)] == [said[0]["set_aside"]]


def test_a_ledger_that_is_damaged_while_it_is_open_begins_no_run(path: Path) -> None:
    with contextlib.closing(Ledger(path)) as ledger, contextlib.closing(sqlite3.connect(path)) as other:
        sent(ledger)
        other.create_function("row_checksum", -1, lambda *_: 0)
        other.execute("update runs set due_us = due_us - 1")
        other.commit()
        with pytest.raises(LedgerError, match="damaged"):
            ledger.begin(RUN, NOW)


def test_a_ledger_of_the_first_version_goes_on(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(FIRST_VERSION)
        db.execute(f"pragma application_id = {int.from_bytes(b'hsch')}")
    for _ in range(2):
        with contextlib.closing(Ledger(path)) as ledger:
            assert not ledger.begin(RUN, NOW)
    assert salvage.set_aside(path) == []


@pytest.mark.parametrize("file", ["schedules.sqlite", "schedules.sqlite-wal"])
def test_no_flipped_bit_makes_a_run_begin_twice_or_goes_untold(tmp_path: Path, file: str) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    with contextlib.closing(Ledger(whole / "schedules.sqlite")) as ledger:
        sent(ledger)
        if file.endswith("wal"):
            shutil.copytree(whole, tmp_path / "crashed")
    whole = tmp_path / "crashed" if file.endswith("wal") else whole
    rng = random.Random(1)
    for trial in range(25):
        folder = shutil.copytree(whole, tmp_path / str(trial))
        content = bytearray((folder / file).read_bytes())
        at = rng.randrange(len(content))
        content[at] ^= 1 << rng.randrange(8)
        (folder / file).write_bytes(content)
        with capture_logs() as said:
            try:
                with contextlib.closing(Ledger(folder / "schedules.sqlite")) as ledger:
                    begun = ledger.run(RUN)
            except LedgerError:
                continue  # told, and nothing is sent
        assert begun is not None or said, f"byte {at} made the ledger forget"
        assert not begun or (begun.state is RunState.DONE and not ledger_says_pending(folder)), at


def ledger_says_pending(folder: Path) -> bool:
    with contextlib.closing(Ledger(folder / "schedules.sqlite")) as ledger:
        return any(each.state is not DeliveryState.SENT for each in ledger.deliveries(RUN))
