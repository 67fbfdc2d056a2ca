"""One run of a schedule: wait until its period has landed, make the message, send it to everybody, say what failed."""

import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import duckdb
import stamina
import structlog

from reports import humanize
from reports.errors import ReportError, SourceError
from schedules import (
    compose,
    message,
    recipients,
)
from schedules.compose import MessageRequest
from schedules.content import Message
from schedules.dispatch import Dispatcher, StoppedError
from schedules.freshness import LogEnd
from schedules.missed import Missed
from schedules.record import (
    FOLDER,
    DeliveryState,
    RunId,
    RunKind,
    RunState,
    ScheduledRun,
)
from schedules.render_process import ChildDiedError, Compose
from schedules.schedule import Schedule

log = structlog.get_logger("schedule")

CRASHED = "holdtime stopped while it was being sent: it may or may not have been sent, and is not sent again"

_LATE = timedelta(minutes=1)
_MS = timedelta(milliseconds=1)
_STOPPING_S = 2.0
_ATTEMPTS_TO_MAKE = 5


@dataclass(slots=True)
class RunPerformer:
    """Performs runs. Any number of threads share one."""

    dispatcher: Dispatcher
    log_end: LogEnd
    compose: Compose = compose.message_of
    # One at a time: each may take all the memory of a report.
    _composing: threading.Lock = field(default_factory=threading.Lock)

    def perform(self, schedule: Schedule, run: RunId, *, wait: bool = True) -> None:
        """Do what is left of a run, and write down how it ended; a stop leaves it to the next process.

        The caller has written down that the run has begun. `wait` says whether to wait for the period to be complete.
        """
        with suppress(StoppedError):
            if self._is_decided(schedule, run, wait=wait):
                self._deliver(schedule, run)

    def _is_decided(self, schedule: Schedule, run: RunId, *, wait: bool) -> bool:
        """Write down the message and its recipients, unless that was done; False where there can be no message."""
        written = self._written(run)
        if written.state is not RunState.WAITING:
            return True
        try:
            composed = self._composed(schedule, run, written, wait=wait)
        except StoppedError:
            raise
        except ReportError as error:
            self._fail(schedule, run, str(error))
            return False
        except Exception as error:
            self._fail(schedule, run, f"an error of holdtime's own, {type(error).__name__}: see its log")
            raise
        self._decide(schedule, run, composed)
        return True

    def _written(self, run: RunId) -> ScheduledRun:
        written = self.dispatcher.ledger.run(run)
        if written is None:
            raise KeyError(f"{run} was never begun")
        return written

    def _composed(self, schedule: Schedule, run: RunId, written: ScheduledRun, *, wait: bool) -> Message:
        """Return the message, once its period has landed or patience is over."""
        give_up = written.started_at + timedelta(minutes=schedule.patience_minutes if wait else 0)
        about = {"schedule": schedule.name, "due": run.due.isoformat()}
        waited_for = None
        while (missing := self._missing(schedule, run.due)) is not None:
            if self.dispatcher.clock() >= give_up:
                log.warning("period_not_complete", lacking=missing, **about)
                break
            if waited_for != missing:
                log.info("waiting_for_period", lacking=missing, **about)
                waited_for = missing
            if self.dispatcher.stop.wait(self.dispatcher.waits.look_s):
                raise StoppedError
        return self._compose(schedule, run.due, self._remarks(schedule, run, written, waited_for=waited_for))

    def _remarks(
        self, schedule: Schedule, run: RunId, written: ScheduledRun, *, waited_for: str | None
    ) -> tuple[str, ...]:
        """Lines about the run itself: that it waited, that it is late, that others were missed."""
        if run.kind is not RunKind.CRON:
            return ()
        times, now = schedule.times(self.dispatcher.context.timezone), self.dispatcher.clock()
        remarks = []
        if waited_for is not None:
            waited = humanize.age((now - written.started_at) / _MS)
            remarks.append(f"This run waited {waited} for its period: {waited_for}.")
        if now - run.due >= _LATE:
            due, late = humanize.moment(run.due, times.zone), humanize.age((now - run.due) / _MS)
            remarks.append(f"It was due at {due} and made {late} later.")
        if (missed := Missed.before(run, times, self.dispatcher.ledger)) is not None:
            remarks.append(f"{missed.words(times)}: `holdtime report` shows their periods.")
        return tuple(remarks)

    def _compose(self, schedule: Schedule, due: datetime, remarks: tuple[str, ...]) -> Message:
        """Compose the message; try a few times where that fails for a reason that may pass."""
        retries = stamina.retry_context(
            on=(ChildDiedError, SourceError, duckdb.Error),
            attempts=_ATTEMPTS_TO_MAKE,
            timeout=None,
            wait_initial=self.dispatcher.waits.retry_first_s,
            wait_max=self.dispatcher.waits.retry_most_s,
        )
        for attempt in retries:
            with attempt, self._composing:
                if self.dispatcher.stop.is_set():
                    raise StoppedError
                try:
                    now, log_end = self.dispatcher.clock(), self.log_end()
                    return self.compose(MessageRequest(self.dispatcher.context, schedule, due, now, log_end, remarks))
                except ChildDiedError:
                    if self.dispatcher.stop.wait(_STOPPING_S):  # a stop of everything may have begun with the child
                        raise StoppedError from None
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _missing(self, schedule: Schedule, due: datetime) -> str | None:
        return compose.missing(self.dispatcher.context, schedule, due, self.log_end)

    def _decide(self, schedule: Schedule, run: RunId, composed: Message) -> None:
        to = [(each.key, each.label) for each in self.dispatcher.reachable(schedule)]
        if schedule.folder is not None:
            to.append((FOLDER, "folder"))
        self.dispatcher.ledger.decide(run, composed.packed(), to, self.dispatcher.clock())

    def _deliver(self, schedule: Schedule, run: RunId) -> None:
        """Send the message, notify of recipients that did not get it, and end the run."""
        packed = self._written(run).message
        if packed is None:
            return
        deliveries = self.dispatcher.to_everybody(schedule, run, packed)
        wrong = [each for each in deliveries if each.state is not DeliveryState.SENT]
        if wrong and run.kind is RunKind.CRON:
            reached = {each.recipient for each in deliveries if each.state is DeliveryState.SENT}
            self._notify(schedule, run, [f"{each.label}: {each.state}; {each.reason}." for each in wrong], reached)
        self.dispatcher.ledger.end(
            run, RunState.FAILED if wrong else RunState.DONE, "not sent to everybody" if wrong else ""
        )

    def _fail(self, schedule: Schedule, run: RunId, reason: str) -> None:
        """End a run that has no message to send."""
        log.error("run_failed", schedule=schedule.name, kind=run.kind, due=run.due.isoformat(), reason=reason)
        if run.kind is RunKind.CRON:
            self._notify(schedule, run, [f"{reason}."], None)
        self.dispatcher.ledger.end(run, RunState.FAILED, reason)

    def _notify(self, schedule: Schedule, run: RunId, lines: Sequence[str], reached: Collection[str] | None) -> None:
        """Send a notice of a failed run to `on_failure`, or else to the recipients that it `reached` (None: all).

        The notice is a run of its own kind, and the failed run waits for it. There is no notice of a notice.
        """
        to, _ = recipients.found(schedule.on_failure, self.dispatcher.environ, where="on_failure")
        if not schedule.on_failure:
            to = [each for each in self.dispatcher.reachable(schedule) if reached is None or each.key in reached]
        if not to:
            return
        zone = schedule.zone(self.dispatcher.context.timezone)
        due = humanize.moment(run.due, zone)
        notified = message.notice(
            f"{schedule.name}: could not be sent to everybody",
            f"The summary {schedule.name} of {due} ({zone.key}) was not sent to everybody.",
            [*lines, "`holdtime schedule --status` shows all that was sent, and `holdtime schedule --now` sends anew."],
        )
        notice = replace(run, kind=RunKind.NOTICE)
        self.dispatcher.ledger.begin(notice, self.dispatcher.clock())
        if self._written(notice).state is RunState.WAITING:
            self.dispatcher.ledger.decide(
                notice, notified.packed(), [(each.key, each.label) for each in to], self.dispatcher.clock()
            )
        self._deliver(schedule, notice)
