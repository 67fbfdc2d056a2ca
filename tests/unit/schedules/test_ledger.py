"""The ledger: what was begun is known to have been begun, whatever happens to the process."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schedules.ledger import (
    KEPT,
    Ledger,
    LedgerError,
)
from schedules.lock import TakenError, locked
from schedules.record import (
    FOLDER,
    DeliveryState,
    RunId,
    RunKind,
    RunState,
)

NOW = datetime(2026, 3, 30, 4, tzinfo=UTC)
RUN = RunId("daily", RunKind.CRON, NOW)
MANUAL = RunId("daily", RunKind.NOW, NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "schedules.sqlite"


def states(ledger: Ledger, run: RunId = RUN) -> dict[str, DeliveryState]:
    return {each.recipient: each.state for each in ledger.deliveries(run)}


def begun(path: Path, run: RunId = RUN) -> Ledger:
    ledger = Ledger(path)
    assert ledger.begin(run, NOW)
    ledger.decide(run, b"words", [("ann", "recipients 1"), ("bob", "recipients 2"), (FOLDER, "folder")], NOW)
    return ledger


def test_a_run_is_begun_once(path: Path) -> None:
    ledger = begun(path)
    assert not ledger.begin(RUN, NOW)
    assert not Ledger(path).begin(RUN, NOW + timedelta(hours=1))
    assert states(ledger) == {"ann": DeliveryState.PENDING, "bob": DeliveryState.PENDING, FOLDER: DeliveryState.PENDING}


def test_what_was_begun_and_has_no_result_is_in_doubt_for_whoever_comes_next(path: Path) -> None:
    ledger = begun(path)
    ledger.attempt(RUN, "ann", NOW)
    ledger.attempt(RUN, FOLDER, NOW)  # never closed: the process is gone
    after = Ledger(path)
    after.recover((RunKind.CRON,), "it crashed", NOW)
    # Files can be written again without harm.
    assert states(after) == {"ann": DeliveryState.DOUBTFUL, "bob": DeliveryState.PENDING, FOLDER: DeliveryState.PENDING}
    assert [each.reason for each in after.deliveries(RUN) if each.recipient == "ann"] == ["it crashed"]
    (unfinished,) = after.unfinished(RunKind.CRON)
    assert (unfinished.id, unfinished.state, unfinished.message) == (RUN, RunState.SENDING, b"words")


def test_what_another_kind_of_process_sends_just_now_is_left_alone(path: Path) -> None:
    ledger = begun(path, MANUAL)
    ledger.attempt(MANUAL, "ann", NOW)
    Ledger(path).recover((RunKind.CRON, RunKind.NOTICE), "it crashed", NOW)
    assert states(ledger, MANUAL)["ann"] is DeliveryState.SENDING


def test_an_attempt_is_on_the_disk_before_it_is_made(path: Path) -> None:
    ledger = begun(path)
    ledger.attempt(RUN, "ann", NOW)
    with sqlite3.connect(path) as other:
        assert other.execute("select state, attempts from deliveries where recipient = 'ann'").fetchall() == [
            ("sending", 1)
        ]
    other.close()
    assert ledger._db.execute("pragma synchronous").fetchone() == (2,)  # full: a commit waits for the disk


def test_what_was_sent_is_forgotten_and_that_it_was_is_not(path: Path) -> None:
    ledger = begun(path)
    for each in ("ann", "bob", FOLDER):
        ledger.attempt(RUN, each, NOW)
        ledger.settle(RUN, each, DeliveryState.SENT, "", NOW)
    ledger.end(RUN, RunState.DONE)
    run = ledger.run(RUN)
    assert run is not None
    assert (run.state, run.message) == (RunState.DONE, None)
    assert set(states(ledger).values()) == {DeliveryState.SENT}
    assert ledger.unfinished(*RunKind) == []


def test_a_schedule_misses_nothing_from_before_it_was_known_or_had_other_times(path: Path) -> None:
    ledger = Ledger(path)
    hour = timedelta(hours=1)
    assert ledger.since("daily", "0 7 * * *", NOW) == NOW
    assert ledger.since("daily", "0 7 * * *", NOW + hour) == NOW
    assert ledger.since("daily", "0 9 * * *", NOW + 2 * hour) == NOW + 2 * hour
    assert ledger.since("weekly", "0 9 * * *", NOW + 3 * hour) == NOW + 3 * hour


def test_a_clock_that_jumps_makes_nobody_forget_what_was_sent(path: Path) -> None:
    ledger = begun(path)
    later = NOW + 2 * KEPT
    assert ledger.begin(RunId("daily", RunKind.CRON, later), later)
    assert not ledger.begin(RUN, NOW)


def test_runs_are_forgotten_after_a_year_and_some_when_there_are_many(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedules.ledger.KEPT_RUNS", 1)
    ledger = begun(path)
    assert ledger.begin(RunId("daily", RunKind.CRON, NOW + KEPT + timedelta(days=1)), NOW + KEPT + timedelta(days=1))
    assert ledger.run(RUN) is None
    assert ledger.deliveries(RUN) == []


def test_it_is_for_its_owner_only_and_can_be_read_while_it_is_written(path: Path) -> None:
    ledger = begun(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with Ledger.reading(path) as reader:
        assert states(reader) == states(ledger)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.begin(MANUAL, NOW)


@pytest.mark.parametrize("content", [b"no database at all, not even nearly one", None])
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.sqlite"
    if content is None:
        with sqlite3.connect(path) as other:
            other.execute("create table runs (a)")
        other.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="HOLDTIME_SCHEDULES"):
        Ledger(path)
    assert path.read_bytes() == before


def test_one_process_sends_at_a_time_and_each_kind_for_itself(path: Path) -> None:
    with locked(path, RunKind.CRON):
        with pytest.raises(TakenError, match=r"sends from .* already"), locked(path, RunKind.CRON):
            pass
        with locked(path, RunKind.NOW):
            pass
    with locked(path, RunKind.CRON):
        pass
