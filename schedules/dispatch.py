"""Sending a run to every recipient: each in a thread of its own, so that one out of reach holds up no other."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import stamina
import structlog

from schedules import (
    compose,
    delivery,
    recipients,
    sender,
)
from schedules.content import Message
from schedules.context import Context
from schedules.ledger import Ledger
from schedules.outcome import SendOutcome, SendResult
from schedules.recipients import Recipient
from schedules.record import (
    FOLDER,
    DeliveryState,
    RunDelivery,
    RunId,
    RunKind,
)
from schedules.schedule import Schedule

Send = Callable[[Recipient, Message, RunId], SendOutcome]
"""`sender.send`, or `delivery.send` in this process."""

log = structlog.get_logger("schedule")

_MAX_AT_ONCE = 8
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds between two looks for a period that has not landed, and before a refused message is sent again."""

    look_s: float = 5
    retry_first_s: float = 5
    retry_most_s: float = 600


class StoppedError(Exception):
    """The process is to stop, so no new attempt begins."""


class _NotTakenError(Exception):
    """The recipient refused the message, so it can be sent again."""


@dataclass(slots=True)
class Dispatcher:
    """Sends the pending deliveries of the ledger. Any number of threads share one."""

    context: Context
    ledger: Ledger
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    waits: Waits = field(default_factory=Waits)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    send: Send = sender.send
    _in_flight: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_MAX_AT_ONCE))

    def reachable(self, schedule: Schedule) -> list[Recipient]:
        """Return the recipients of a schedule's summary."""
        return recipients.found(schedule.recipients, self.environ, where="recipients")[0]

    def to_everybody(self, schedule: Schedule, run: RunId, packed: bytes) -> list[RunDelivery]:
        """Send a message to every recipient whose delivery is pending; return all deliveries. Raises StoppedError."""
        message = Message.unpacked(packed)
        by_key = {each.key: each for each in self._everybody(schedule, run)}
        threads = [
            threading.Thread(
                target=self._send,
                args=(schedule, run, each, by_key.get(each.recipient), message),
                daemon=True,
            )
            for each in self.ledger.deliveries(run)
            if each.state is DeliveryState.PENDING
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if self.stop.wait(_POLL_S):
                raise StoppedError
        deliveries = self.ledger.deliveries(run)
        if any(each.state in {DeliveryState.PENDING, DeliveryState.SENDING} for each in deliveries):
            raise StoppedError  # a thread ended without a result, which only a stop makes them do
        return deliveries

    def drain(self, patience: timedelta) -> None:
        """After a stop: wait until no message is on its way, for `patience` at most."""
        give_up = time.monotonic() + patience.total_seconds()
        taken = 0
        while taken < _MAX_AT_ONCE and self._in_flight.acquire(timeout=max(0, give_up - time.monotonic())):
            taken += 1
        if taken:
            self._in_flight.release(taken)  # a thread that waits for its turn finds the stop

    def _everybody(self, schedule: Schedule, run: RunId) -> list[Recipient]:
        others = recipients.found(schedule.on_failure, self.environ, where="on_failure")[0]
        return [*self.reachable(schedule), *(others if run.kind is RunKind.NOTICE else [])]

    def _send(
        self, schedule: Schedule, run: RunId, to: RunDelivery, recipient: Recipient | None, message: Message
    ) -> None:
        """Send to one recipient, again and again while it refuses; the ledger holds each attempt before it begins."""
        about = {"schedule": schedule.name, "kind": run.kind, "due": run.due.isoformat(), "recipient": to.label}
        retries = stamina.retry_context(
            on=_NotTakenError,
            attempts=None if schedule.retry_minutes else 1,
            timeout=schedule.retry_minutes * 60 or None,
            wait_initial=self.waits.retry_first_s,
            wait_max=self.waits.retry_most_s,
            wait_jitter=self.waits.retry_first_s,
        )
        try:
            for attempt in retries:
                with attempt, self._begun():
                    self._attempt(schedule, run, to, recipient, message)
        except StoppedError:
            return
        except _NotTakenError as error:
            self.ledger.settle(run, to.recipient, DeliveryState.FAILED, str(error), self.clock())
        except Exception as error:
            # The ledger holds the attempt as begun, whatever was raised.
            self.ledger.settle(
                run, to.recipient, DeliveryState.DOUBTFUL, f"{type(error).__name__} was raised", self.clock()
            )
            raise
        result = next(each for each in self.ledger.deliveries(run) if each.recipient == to.recipient)
        if result.state is DeliveryState.SENT:
            log.info("summary_sent", attempts=result.attempts, **about)
        else:
            log.error("summary_not_sent", state=result.state, reason=result.reason, attempts=result.attempts, **about)

    @contextmanager
    def _begun(self) -> Iterator[None]:
        with self._in_flight:
            if self.stop.is_set():
                raise StoppedError
            yield

    def _attempt(
        self, schedule: Schedule, run: RunId, to: RunDelivery, recipient: Recipient | None, message: Message
    ) -> None:
        self.ledger.attempt(run, to.recipient, self.clock())
        if to.recipient == FOLDER and schedule.folder is not None:
            try:
                delivery.write(schedule.folder, message, compose.stem(self.context, schedule, run.due))
                outcome = SendOutcome(SendResult.SENT)
            except OSError as error:
                outcome = SendOutcome(SendResult.REFUSED, f"the folder cannot be written: {error.strerror}")
        elif recipient is None:
            self.ledger.settle(run, to.recipient, DeliveryState.FAILED, "it is not configured any more", self.clock())
            return
        else:
            outcome = self.send(recipient, message, run)
        state = {
            SendResult.SENT: DeliveryState.SENT,
            SendResult.REFUSED: DeliveryState.PENDING,
            SendResult.UNCLEAR: DeliveryState.DOUBTFUL,
        }
        self.ledger.settle(run, to.recipient, state[outcome.result], outcome.reason, self.clock())
        if outcome.result is SendResult.REFUSED:
            raise _NotTakenError(outcome.reason)
