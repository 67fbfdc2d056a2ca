"""Running all schedules: what is due is begun, what was missed is made up for once, what was left half done goes on."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from schedules import (
    compose,
    render_process,
)
from schedules.context import Context
from schedules.cron import Cron
from schedules.dispatch import Dispatcher
from schedules.freshness import LogEnd
from schedules.ledger import Ledger, LedgerError
from schedules.lock import TakenError, locked
from schedules.missed import Missed
from schedules.record import (
    RunId,
    RunKind,
    RunState,
)
from schedules.render_process import Compose
from schedules.run import CRASHED, RunPerformer
from schedules.schedule import Schedule

DRAIN = timedelta(seconds=20)
"""How long a stop waits for messages on their way: of one that is cut off nobody knows whether it arrived."""

MAX_UNDER_WAY = 10
"""Runs of one schedule that wait for their period or for a recipient. While there are so many, others are missed."""

_POLL_S = 1.0
_STAND_BY_S = 5.0

log = structlog.get_logger("schedule")


@dataclass(slots=True)
class Runner:
    """Begins every run that is due, each in a thread of its own: one that waits keeps no later one from its time."""

    runs: RunPerformer
    _active: dict[RunId, threading.Thread] = field(default_factory=dict)
    _next: dict[str, datetime | None] = field(default_factory=dict)
    _looked_at: datetime | None = None

    @property
    def _schedules(self) -> tuple[Schedule, ...]:
        return self.runs.dispatcher.context.schedules

    def run(self) -> None:
        """Run the schedules until the stop of `runs` is set. The caller holds the lock of `RunKind.CRON`."""
        self._resume()
        log.info("schedules_run", names=[schedule.name for schedule in self._schedules])
        try:
            while not self.runs.dispatcher.stop.is_set():
                self.begin_due()
                self.runs.dispatcher.stop.wait(_POLL_S)
        finally:
            self.runs.dispatcher.drain(DRAIN)

    def begin_due(self) -> None:
        """Begin the latest run that is due of each schedule, unless too many of it are under way."""
        now = self.runs.dispatcher.clock()
        if self._looked_at is not None and now < self._looked_at:
            self._next.clear()  # what comes next was worked out by a clock that has been set back
        self._looked_at = now
        self._active = {run: thread for run, thread in self._active.items() if thread.is_alive()}
        for schedule in self._schedules:
            under_way = sum(run.schedule == schedule.name for run in self._active)
            if under_way < MAX_UNDER_WAY and (due := self._due(schedule, now)) is not None:
                run = RunId(schedule.name, RunKind.CRON, due)
                if self.runs.dispatcher.ledger.begin(run, now):
                    self._log_begin(schedule, run, now)
                    self._start(schedule, run)

    def join(self) -> None:
        """Wait until nothing is under way."""
        for thread in list(self._active.values()):
            thread.join()

    def _resume(self) -> None:
        """Go on with what another process began, and left."""
        ledger, now = self.runs.dispatcher.ledger, self.runs.dispatcher.clock()
        ledger.recover((RunKind.CRON, RunKind.NOTICE), CRASHED, now)
        schedules = {schedule.name: schedule for schedule in self._schedules}
        for run in ledger.unfinished(RunKind.CRON):
            if (schedule := schedules.get(run.id.schedule)) is None:
                ledger.end(run.id, RunState.FAILED, "its schedule is not configured any more")
            else:
                self._start(schedule, run.id)

    def _due(self, schedule: Schedule, now: datetime) -> datetime | None:
        """Return the latest time that has come since the last run: those before it were missed, and stay missed."""
        coming = self._next.get(schedule.name)
        if coming is not None and now < coming:
            return None
        times = schedule.times(self.runs.dispatcher.context.timezone)
        after = baseline(self.runs, schedule, times, now)
        due = times.latest(after, now)
        self._next[schedule.name] = times.next(max(now, after))
        return due

    def _log_begin(self, schedule: Schedule, run: RunId, now: datetime) -> None:
        about = {"schedule": schedule.name, "due": run.due.isoformat()}
        times = schedule.times(self.runs.dispatcher.context.timezone)
        if (missed := Missed.before(run, times, self.runs.dispatcher.ledger)) is not None:
            first, last = missed.first.isoformat(), missed.last.isoformat()
            log.warning("runs_missed", missed=missed.count, first=first, last=last, **about)
        log.info("run_begun", late_s=int((now - run.due).total_seconds()), **about)

    def _start(self, schedule: Schedule, run: RunId) -> None:
        thread = threading.Thread(target=self.runs.perform, args=(schedule, run), daemon=True)
        self._active[run] = thread
        thread.start()


def run(
    context: Context,
    stop: threading.Event,
    *,
    log_end: LogEnd,
    clock: Callable[[], datetime],
    compose: Compose = compose.message_of,
) -> None:
    """Run the schedules until `stop` is set. Raises TakenError or LedgerError, and sqlite3.Error for a sick disk."""
    with locked(context.ledger, RunKind.CRON), closing(Ledger(context.ledger)) as ledger:
        Runner(RunPerformer(Dispatcher(context, ledger, stop, clock), log_end, compose)).run()


def stand_by(context: Context, stop: threading.Event, *, log_end: LogEnd, clock: Callable[[], datetime]) -> None:
    """Run the schedules whenever no other process does and the ledger can be used, until `stop` is set.

    For a process that has something else to do: a process of its own makes each message.
    """
    last_reason = ""
    while not stop.is_set():
        try:
            run(context, stop, log_end=log_end, clock=clock, compose=render_process.message_of)
        except (TakenError, LedgerError, sqlite3.Error) as error:
            if last_reason != str(error):
                log.warning("schedules_not_run", reason=str(error), retry_s=_STAND_BY_S)
                last_reason = str(error)
            stop.wait(_STAND_BY_S)


def baseline(runs: RunPerformer, schedule: Schedule, times: Cron, now: datetime) -> datetime:
    """Return after which instant a schedule's runs are due: its last run, or since when it has been as it is."""
    since = runs.dispatcher.ledger.since(schedule.name, str(times), now)
    last = runs.dispatcher.ledger.last(schedule.name, RunKind.CRON, until=now)
    return since if last is None else max(since, last.id.due)
