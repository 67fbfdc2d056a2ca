"""Deliveries that none of our keys signed: counted beside the authentic ones, reported in a log line, and not kept.

Anybody can send them, at any rate, so there is a line a minute at most, and no content of a delivery in it.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

EVERY_S = 60.0
"""The least time between two lines in the log."""

log = structlog.get_logger("ingest")


@dataclass(slots=True)
class Refusals:
    """The counts since this process began: changed on the event loop, read by any thread.

    `authentic` were signed by one of our keys at a time within the tolerance; `accepted` of those are durable in the
    log. `refused` were signed by none; `timely` of those name a time within the tolerance, as a sender with another key
    does; `lately` of the timely ones came since the last authentic one. `clock` and all times are Unix microseconds,
    `elapsed` is in seconds.
    """

    clock: Callable[[], int]
    elapsed: Callable[[], float] = time.monotonic
    began_us: int = field(init=False)
    authentic: int = 0
    accepted: int = 0
    refused: int = 0
    timely: int = 0
    lately: int = 0
    accepted_us: int | None = None
    refused_us: int | None = None
    _unreported: int = 0
    _reported_s: float | None = None
    _timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        """Nothing came yet."""
        self.began_us = self.clock()

    def note_authentic(self) -> None:
        """Count a delivery that one of our keys signed at a time within the tolerance."""
        self.authentic += 1
        self.lately = 0

    def note_accepted(self, now_us: int) -> None:
        """Count a delivery that is durable."""
        self.accepted += 1
        self.accepted_us = now_us

    def note_refused(self, now_us: int, *, timely: bool) -> None:
        """Count a delivery that none of our keys signed, and log it, now or when the next line is due."""
        self.refused += 1
        self.refused_us = now_us
        if timely:
            self.timely += 1
            self.lately += 1
        self._unreported += 1
        waits_s = 0.0 if self._reported_s is None else self._reported_s + EVERY_S - self.elapsed()
        if waits_s <= 0:
            self.report()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(waits_s, self.report)

    def report(self) -> None:
        """Log the refused deliveries that no line has reported yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._unreported:
            return
        log.warning(
            "deliveries_refused",
            count=self._unreported,
            refused=self.refused,
            accepted=self.accepted,
            reason="signed by none of the keys in TELNYX_PUBLIC_KEY: is it this account's?",
        )
        self._unreported, self._reported_s = 0, self.elapsed()

    def status(self) -> dict[str, object]:
        """Return the counts for JSON, instants as ISO 8601 text."""
        return {
            "since": _iso(self.began_us),
            "accepted": self.accepted,
            "last_accepted_at": _iso(self.accepted_us),
            "authentic": self.authentic,
            "refused": self.refused,
            "last_refused_at": _iso(self.refused_us),
            "refused_timely": self.timely,
            "refused_since_authentic": self.lately,
        }


def _iso(us: int | None) -> str | None:
    return None if us is None else datetime.fromtimestamp(us / 1_000_000, UTC).isoformat()
