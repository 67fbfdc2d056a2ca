"""One run of a schedule: wait until its period has landed, make the message, send it to everybody, say what failed."""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import duckdb
import stamina
import structlog

from holdtime.schedules import delivery, making, message, recipients
from holdtime.schedules.apart import ChildDiedError, Make
from holdtime.schedules.delivery import Result
from holdtime.schedules.landed import LogEnd
from holdtime.schedules.ledger import Ledger
from holdtime.schedules.message import Message
from holdtime.schedules.recipients import Recipient
from holdtime.schedules.record import FOLDER, Delivery, Kind, Run, RunId, RunState, State
from holdtime.schedules.schedule import Schedule
from holdtime.settings import Settings
from reports import wording
from reports.errors import ReportError, SourceError

log = structlog.get_logger("schedule")

CRASHED = "holdtime stopped while it was being sent: it may or may not have been sent, and is not sent again"

_MOST_AT_ONCE = 8
_LOOK_S = 0.1
_STOPPING_S = 2.0
_ATTEMPTS_TO_MAKE = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """How long is waited in between: for what has not landed yet, and before something is sent again."""

    look_s: float = 15
    retry_first_s: float = 5
    retry_most_s: float = 600


class _StoppedError(Exception):
    """The process is to stop: nothing new is begun."""


class _NotTakenError(Exception):
    """It was refused, and can be sent again."""


@dataclass(slots=True)
class Runs:
    """Performs runs, in any number of threads. What it is given belongs to all of them."""

    settings: Settings
    ledger: Ledger
    log_end: LogEnd
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    pace: Pace = field(default_factory=Pace)
    make: Make = making.made
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    _in_flight: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_MOST_AT_ONCE))
    # One at a time: two connections of a process to a file are one to DuckDB, with settings that the first has locked.
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def perform(self, schedule: Schedule, run: RunId, *, wait: bool = True) -> None:
        """Do what is left of a run, and write down how it ended; a stop leaves it to the next process.

        Whoever calls it has written down that the run has begun. `wait` is for the period to be complete.
        """
        try:
            written = self._written(run)
            if written.state is RunState.WAITING:
                self._decide(schedule, run, self._made(schedule, run, written, wait=wait))
            self._deliver(schedule, run)
        except _StoppedError:
            return
        except ReportError as error:
            self._fail(schedule, run, str(error))
        except Exception as error:
            self._fail(schedule, run, f"an error of holdtime's own, {type(error).__name__}: see its log")
            raise

    def reachable(self, schedule: Schedule) -> list[Recipient]:
        """Return whom a schedule's summary goes to."""
        return recipients.found(schedule.recipients, self.environ, where="recipients")[0]

    def drain(self, patience: timedelta) -> None:
        """Wait until nothing is being sent any more, for so long at most. For after a stop."""
        give_up = time.monotonic() + patience.total_seconds()
        taken = 0
        while taken < _MOST_AT_ONCE and self._in_flight.acquire(timeout=max(0, give_up - time.monotonic())):
            taken += 1
        if taken:
            self._in_flight.release(taken)  # whoever waits for a turn finds that it has been stopped

    def _written(self, run: RunId) -> Run:
        written = self.ledger.run(run)
        if written is None:
            raise KeyError(f"{run} was never begun")
        return written

    def _made(self, schedule: Schedule, run: RunId, written: Run, *, wait: bool) -> Message:
        """Return the message, once its period has landed or patience is over."""
        give_up = written.started_at + timedelta(minutes=schedule.patience_minutes if wait else 0)
        about = {"schedule": schedule.name, "due": run.due.isoformat()}
        told = None
        while (missing := self._missing(schedule, run.due)) is not None:
            if self.clock() >= give_up:
                log.warning("period_not_complete", lacking=missing, **about)
                break
            if told != missing:
                log.info("waiting_for_period", lacking=missing, **about)
                told = missing
            if self.stop.wait(self.pace.look_s):
                raise _StoppedError
        return self._make(schedule, run.due)

    def _make(self, schedule: Schedule, due: datetime) -> Message:
        """Make the message, and again a few times where that fails for a reason that may pass."""
        retries = stamina.retry_context(
            on=(ChildDiedError, SourceError, duckdb.Error),
            attempts=_ATTEMPTS_TO_MAKE,
            timeout=None,
            wait_initial=self.pace.retry_first_s,
            wait_max=self.pace.retry_most_s,
        )
        for attempt in retries:
            with attempt, self._reading:
                if self.stop.is_set():
                    raise _StoppedError
                try:
                    return self.make(self.settings, schedule, due, self.clock(), self.log_end())
                except ChildDiedError:
                    if self.stop.wait(_STOPPING_S):  # whoever stops everything may have begun with the child
                        raise _StoppedError from None
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _missing(self, schedule: Schedule, due: datetime) -> str | None:
        with self._reading:
            return making.missing(self.settings, schedule, due, self.log_end)

    def _decide(self, schedule: Schedule, run: RunId, made: Message) -> None:
        to = [(each.key, each.label) for each in self.reachable(schedule)]
        if schedule.folder is not None:
            to.append((FOLDER, "folder"))
        self.ledger.decide(run, made.packed(), to, self.clock())

    def _deliver(self, schedule: Schedule, run: RunId) -> None:
        """Send what was decided to everybody who has not got it, to all at once, and end the run."""
        packed = self._written(run).message
        if packed is None:
            return
        made = Message.unpacked(packed)
        known = {each.key: each for each in self._everybody(schedule, run)}
        threads = [
            threading.Thread(
                target=self._send, args=(schedule, run, each, known.get(each.recipient), made), daemon=True
            )
            for each in self.ledger.deliveries(run)
            if each.state is State.PENDING
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if self.stop.wait(_LOOK_S):
                raise _StoppedError
        deliveries = self.ledger.deliveries(run)
        if any(each.state in {State.PENDING, State.SENDING} for each in deliveries):
            raise _StoppedError  # a thread ended without a result, which only a stop makes them do
        wrong = [each for each in deliveries if each.state is not State.SENT]
        if wrong and run.kind is Kind.CRON:
            reached = {each.recipient for each in deliveries if each.state is State.SENT}
            self._tell(schedule, run, [f"{each.label}: {each.state}; {each.reason}." for each in wrong], reached)
        self.ledger.end(run, RunState.FAILED if wrong else RunState.DONE, "not sent to everybody" if wrong else "")

    def _everybody(self, schedule: Schedule, run: RunId) -> list[Recipient]:
        others = recipients.found(schedule.on_failure, self.environ, where="on_failure")[0]
        return [*self.reachable(schedule), *(others if run.kind is Kind.NOTICE else [])]

    def _send(self, schedule: Schedule, run: RunId, to: Delivery, recipient: Recipient | None, made: Message) -> None:
        """Send to one, again and again while it is refused; the ledger says before each attempt that there is one."""
        about = {"schedule": schedule.name, "kind": run.kind, "due": run.due.isoformat(), "recipient": to.label}
        retries = stamina.retry_context(
            on=_NotTakenError,
            attempts=None if schedule.retry_minutes else 1,
            timeout=schedule.retry_minutes * 60 or None,
            wait_initial=self.pace.retry_first_s,
            wait_max=self.pace.retry_most_s,
            wait_jitter=self.pace.retry_first_s,
        )
        try:
            for attempt in retries:
                with attempt, self._begun():
                    self._attempt(schedule, run, to, recipient, made)
        except _StoppedError:
            return
        except _NotTakenError as error:
            self.ledger.settle(run, to.recipient, State.FAILED, str(error), self.clock())
        except Exception as error:
            # Whatever it was, the attempt was written down as begun.
            self.ledger.settle(run, to.recipient, State.DOUBTFUL, f"{type(error).__name__} was raised", self.clock())
            raise
        result = next(each for each in self.ledger.deliveries(run) if each.recipient == to.recipient)
        if result.state is State.SENT:
            log.info("summary_sent", attempts=result.attempts, **about)
        else:
            log.error("summary_not_sent", state=result.state, reason=result.reason, attempts=result.attempts, **about)

    @contextmanager
    def _begun(self) -> Iterator[None]:
        with self._in_flight:
            if self.stop.is_set():
                raise _StoppedError
            yield

    def _attempt(
        self, schedule: Schedule, run: RunId, to: Delivery, recipient: Recipient | None, made: Message
    ) -> None:
        self.ledger.attempt(run, to.recipient, self.clock())
        if to.recipient == FOLDER and schedule.folder is not None:
            try:
                delivery.write(schedule.folder, made, making.stem(self.settings, schedule, run.due))
                outcome = delivery.Outcome(Result.SENT)
            except OSError as error:
                outcome = delivery.Outcome(Result.REFUSED, f"the folder cannot be written: {error.strerror}")
        elif recipient is None:
            self.ledger.settle(run, to.recipient, State.FAILED, "it is not configured any more", self.clock())
            return
        else:
            outcome = delivery.send(recipient, made, run)
        state = {Result.SENT: State.SENT, Result.REFUSED: State.PENDING, Result.UNCLEAR: State.DOUBTFUL}
        self.ledger.settle(run, to.recipient, state[outcome.result], outcome.reason, self.clock())
        if outcome.result is Result.REFUSED:
            raise _NotTakenError(outcome.reason)

    def _fail(self, schedule: Schedule, run: RunId, reason: str) -> None:
        """End a run of which nothing, or nothing more, can be sent."""
        log.error("run_failed", schedule=schedule.name, kind=run.kind, due=run.due.isoformat(), reason=reason)
        try:
            if run.kind is Kind.CRON:
                self._tell(schedule, run, [f"{reason}."], None)
        except _StoppedError:
            return  # the next process tries again
        self.ledger.end(run, RunState.FAILED, reason)

    def _tell(self, schedule: Schedule, run: RunId, lines: Sequence[str], reached: Collection[str] | None) -> None:
        """Say what went wrong with a run, to those who are there for it or else to those whom it `reached` (None: all).

        That is a run of its own kind, which the run that it tells of waits for; what fails of it is told nobody else.
        """
        to, _ = recipients.found(schedule.on_failure, self.environ, where="on_failure")
        if not schedule.on_failure:
            to = [each for each in self.reachable(schedule) if reached is None or each.key in reached]
        if not to:
            return
        zone = schedule.zone(self.settings.configuration.timezone)
        due = wording.moment(run.due, zone)
        told = message.notice(
            f"{schedule.name}: could not be sent to everybody",
            f"The summary {schedule.name} of {due} ({zone.key}) was not sent to everybody.",
            [*lines, "`holdtime schedule --status` shows all that was sent, and `holdtime schedule --now` sends anew."],
        )
        notice = replace(run, kind=Kind.NOTICE)
        self.ledger.begin(notice, self.clock())
        if self._written(notice).state is RunState.WAITING:
            self.ledger.decide(notice, told.packed(), [(each.key, each.label) for each in to], self.clock())
        self._deliver(schedule, notice)
