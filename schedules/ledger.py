"""The ledger: each message and its recipients, written down before it is sent, and how each delivery ended.

A SQLite file that is synced at every commit. `docs/decisions` says why a delivery that was begun and has no result is
never begun again.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from schedules import integrity, ledger_file
from schedules.integrity import NotWholeError
from schedules.ledger_file import LedgerError
from schedules.record import (
    FOLDER,
    DeliveryState,
    RunDelivery,
    RunId,
    RunKind,
    RunState,
    ScheduledRun,
)
from warehouse.instants import EPOCH, MICROSECOND, instant

__all__ = ["KEPT", "Ledger", "LedgerError"]

KEPT = timedelta(days=400)
KEPT_RUNS = 1_000
"""So many are kept however old they are, so that a clock that jumps makes nobody forget what was sent."""

_LAST_US = 2**63 - 1
_THIS_RUN = "schedule = ? and kind = ? and due_us = ?"


class Ledger:
    """The file. One process at a time runs the schedules; any number may look, and send what somebody asks for."""

    def __init__(self, path: Path) -> None:
        """Open the ledger, making it if it is not there. Raises LedgerError.

        One that is damaged is set aside. A new one sends nothing that was due before, so nothing is sent twice.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = ledger_file.opened(path)

    @classmethod
    @contextmanager
    def reading(cls, path: Path) -> Iterator["Ledger"]:
        """Yield the ledger for looking only. Raises LedgerError."""
        ledger = cls.__new__(cls)
        ledger._lock = threading.RLock()
        if path.is_file() and not path.stat().st_size:
            # To open it would make SQLite remove the write-ahead log beside it, which may hold all that there is.
            raise LedgerError(
                f"{path} is empty: `holdtime up` and `holdtime schedule` set it aside; see HOLDTIME_SCHEDULES"
            )
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as ledger._db:
                integrity.register(ledger._db)
                ledger_file.check(ledger._db, path)
                yield ledger
        except (sqlite3.Error, NotWholeError) as error:
            raise LedgerError(f"{path} cannot be read: {error}; see HOLDTIME_SCHEDULES") from None

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _committed(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield self._db
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")

    def since(self, name: str, times: str, now: datetime) -> datetime:
        """Return since when the ledger has the schedule with these times; it is noted as of `now` where it was not.

        An instant after `now`, noted while a clock had jumped, is noted anew.
        """
        with self._committed() as db:
            if (since := self.known_since(name, times)) is not None and since <= now:
                return since
            db.execute("insert or replace into schedules values (?, ?, ?)", [name, times, _us(now)])
        return now

    def known_since(self, name: str, times: str) -> datetime | None:
        """Return since when the ledger has the schedule with these times; None where it has not."""
        with self._lock:
            rows = self._db.execute(
                "select since_us from schedules where name = ? and times = ?", [name, times]
            ).fetchall()
        return instant(rows[0][0]) if rows else None

    def begin(self, run: RunId, now: datetime) -> bool:
        """Write down that a run has begun; False when it had already. Raises LedgerError for a damaged ledger."""
        try:
            with self._lock:
                integrity.require_whole(self._db)
        except NotWholeError as error:
            raise LedgerError(f"the ledger is damaged: {error}; start again: then it is set aside") from None
        with self._committed() as db:
            row = [*_key(run), _us(now), RunState.WAITING]
            begun = db.execute("insert or ignore into runs values (?, ?, ?, ?, ?, '', null)", row).rowcount == 1
            # Where there are no more than are kept, the inner one is null, and nothing is less than that.
            forgotten = [_us(now - KEPT), KEPT_RUNS - 1]
            bounds = "due_us < ? and due_us < (select due_us from runs order by due_us desc limit 1 offset ?)"
            db.execute(f"delete from deliveries where {bounds}", forgotten)
            db.execute(f"delete from runs where {bounds}", forgotten)
        return begun

    def decide(self, run: RunId, message: bytes, to: Iterable[tuple[str, str]], now: datetime) -> None:
        """Write down the message, and its recipients: (key, label) each."""
        with self._committed() as db:
            db.executemany(
                "insert into deliveries values (?, ?, ?, ?, ?, ?, 0, ?, '')",
                [[*_key(run), key, label, DeliveryState.PENDING, _us(now)] for key, label in to],
            )
            db.execute(
                f"update runs set state = ?, message = ? where {_THIS_RUN}", [RunState.SENDING, message, *_key(run)]
            )

    def attempt(self, run: RunId, recipient: str, now: datetime) -> None:
        """Write down that an attempt begins: until `settle`, its delivery is in doubt."""
        with self._committed() as db:
            db.execute(
                f"update deliveries set state = ?, attempts = attempts + 1, at_us = ? where {_THIS_RUN} "
                "and recipient = ?",
                [DeliveryState.SENDING, _us(now), *_key(run), recipient],
            )

    def settle(self, run: RunId, recipient: str, state: DeliveryState, reason: str, now: datetime) -> None:
        """Write down how an attempt ended."""
        with self._committed() as db:
            db.execute(
                f"update deliveries set state = ?, reason = ?, at_us = ? where {_THIS_RUN} and recipient = ?",
                [state, reason, _us(now), *_key(run), recipient],
            )

    def end(self, run: RunId, state: RunState, reason: str = "") -> None:
        """Write down that a run is over, and forget its message: it was kept to be sent again."""
        with self._committed() as db:
            db.execute(
                f"update runs set state = ?, reason = ?, message = null where {_THIS_RUN}", [state, reason, *_key(run)]
            )

    def recover(self, kinds: Iterable[RunKind], reason: str, now: datetime) -> None:
        """Write down as doubtful every delivery that a process began which is gone."""
        with self._committed() as db:
            for kind in kinds:
                db.execute(
                    "update deliveries set state = iif(recipient = ?, ?, ?), reason = ?, at_us = ? "
                    "where kind = ? and state = ?",
                    [
                        FOLDER,
                        DeliveryState.PENDING,
                        DeliveryState.DOUBTFUL,
                        reason,
                        _us(now),
                        kind,
                        DeliveryState.SENDING,
                    ],
                )

    def run(self, run: RunId) -> ScheduledRun | None:
        """Return a run; None where it never began."""
        return next(self._runs(f"where {_THIS_RUN}", _key(run)), None)

    def unfinished(self, *kinds: RunKind) -> list[ScheduledRun]:
        """Return the runs that have begun and are not over, the oldest first."""
        marks = ", ".join("?" for _ in kinds)
        where = f"where kind in ({marks}) and state in (?, ?) order by due_us"
        return list(self._runs(where, [*kinds, RunState.WAITING, RunState.SENDING]))

    def last(self, schedule: str, kind: RunKind, *, until: datetime | None = None) -> ScheduledRun | None:
        """Return the latest run of a schedule, of those due up to an instant: a clock that jumped ran later ones."""
        where = "where schedule = ? and kind = ? and due_us <= ? order by due_us desc limit 1"
        return next(self._runs(where, [schedule, kind, _LAST_US if until is None else _us(until)]), None)

    def deliveries(self, run: RunId) -> list[RunDelivery]:
        """Return the deliveries of a run."""
        with self._lock:
            rows = self._db.execute(
                f"select recipient, label, state, attempts, at_us, reason from deliveries where {_THIS_RUN} "
                "order by label",
                _key(run),
            ).fetchall()
        return [
            RunDelivery(key, label, DeliveryState(state), attempts, instant(at), reason)
            for key, label, state, attempts, at, reason in rows
        ]

    def _runs(self, where: str, parameters: list[object]) -> Iterator[ScheduledRun]:
        statement = f"select schedule, kind, due_us, started_us, state, reason, message from runs {where}"
        with self._lock:
            rows = self._db.execute(statement, parameters).fetchall()
        for schedule, kind, due, started, state, reason, message in rows:
            run = RunId(schedule, RunKind(kind), instant(due))
            yield ScheduledRun(run, instant(started), RunState(state), reason, message)


def _key(run: RunId) -> list[object]:
    return [run.schedule, run.kind, _us(run.due)]


def _us(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND
