"""The webhook endpoint: one delivery in, one answer out, and a 200 only for what is durable.

A delivery is refused on its head where that is possible; only when its body is complete does it take a place among
those in flight. Status codes: docs/architecture.md. Telnyx retries 408, 429 and 5xx and no other 4xx.
"""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from eventlog.log import (
    Appender,
    LogUnavailableError,
    Record,
)
from ingest.http.answers import COME_AGAIN, TOO_LARGE, TOO_SLOW, Answer
from ingest.http.bodies import MAX_BODY_BYTES
from ingest.http.deadline import Deadlines
from ingest.http.request import CHUNKED, Head
from ingest.metrics import IngestMetrics, Outcome
from ingest.refusals import Refusals
from ingest.signing.signature import (
    Distrust,
    Seal,
    Verifier,
    seal,
)

Signer = Callable[[bytes, Seal], Awaitable[int | None]]

_SIGNATURE = b"telnyx-signature-ed25519"
_TIMESTAMP = b"telnyx-timestamp"
_SMALL_BYTES = 16 << 10
_SIGNATURE_FIELDS = frozenset((_SIGNATURE, _TIMESTAMP))


def unix_us() -> int:
    """Return the time: Unix microseconds, from this machine's clock."""
    return time.time_ns() // 1000


# One text for both: a forger does not learn that the signature was right and only the time was not.
_NOT_AUTHENTIC = Answer.of(401, b"not authentic\n")
ANSWERS: dict[Outcome, Answer] = {
    Outcome.ACCEPTED: Answer.of(200, b""),
    Outcome.MISSING: Answer.of(400, b"telnyx-signature-ed25519 and telnyx-timestamp are required\n", closes=True),
    Outcome.MALFORMED: Answer.of(400, b"headers are malformed\n", closes=True),
    Outcome.FORGED: _NOT_AUTHENTIC,
    Outcome.STALE: _NOT_AUTHENTIC,
    Outcome.WRONG_METHOD: Answer.of(
        405, b"POST only: set webhook_url_method to POST at Telnyx\n", (b"allow", b"POST"), closes=True
    ),
    Outcome.TOO_SLOW: TOO_SLOW,
    Outcome.TOO_LARGE: TOO_LARGE,
    Outcome.OVERLOADED: COME_AGAIN,
    Outcome.UNAVAILABLE: Answer.of(503, b"come again\n", (b"retry-after", b"2")),
}
"""What each outcome answers. A sender that disconnected gets no answer."""


class WebhookEndpoint:
    """Takes deliveries in: shape, size, signature, age, in this order; then keeps them."""

    def __init__(
        self,
        *,
        verifier: Verifier,
        signer: Signer | None = None,
        appender: Appender,
        metrics: IngestMetrics,
        refusals: Refusals | None = None,
        clock: Callable[[], int] = unix_us,
        keep_deadline_s: float = 1.5,
        max_in_flight: int = 1000,
        max_held_bytes: int = 16 << 20,
    ) -> None:
        """Bind the endpoint to its log; `clock` gives Unix microseconds.

        `signer` finds the key that signed a delivery, elsewhere than here: see `checker`. Without it `verifier` does.
        `keep_deadline_s` is for the check and the log, and stays below the 2 s after which Telnyx gives up on us.
        `max_held_bytes` is for the large bodies in flight: complete, over 16 KiB, not known to be authentic yet.
        """
        self._verifier = verifier
        self.signer = signer or self._signer_here
        self._appender = appender
        self._metrics = metrics
        self._refusals = refusals or Refusals(clock)
        self._clock = clock
        self._keep_deadline_s = keep_deadline_s
        self._max_in_flight = max_in_flight
        self._max_held_bytes = max_held_bytes
        self._deadlines = Deadlines()
        self.in_flight = self.held_bytes = 0
        self.accepting = True

    def admit(self, head: Head) -> "Delivery | Answer":
        """Return the delivery that the head begins, or the answer that refuses it."""
        sealed = self._judged(head)
        if isinstance(sealed, Outcome):
            return self._ended(sealed)
        return Delivery(self, sealed)

    async def take(self, body: bytes, sealed: Seal) -> Answer:
        """Answer a complete delivery."""
        # Small bodies are bounded by their number: large ones, which Telnyx hardly sends, take none of their room.
        size = len(body) if len(body) > _SMALL_BYTES else 0
        if self.in_flight >= self._max_in_flight or (size and self.held_bytes + size > self._max_held_bytes):
            return self._ended(Outcome.OVERLOADED)
        self.in_flight += 1
        self.held_bytes += size
        try:
            with self._deadlines.begin(self._keep_deadline_s):
                outcome = await self._keep(body, sealed)
        except (TimeoutError, LogUnavailableError):
            outcome = Outcome.UNAVAILABLE
        finally:
            self.in_flight -= 1
            self.held_bytes -= size
        return self._ended(outcome)

    def cut_off(self, outcome: Outcome) -> None:
        """Count a delivery whose body never became complete."""
        self._metrics.delivery_ended(outcome)

    def _ended(self, outcome: Outcome) -> Answer:
        self._metrics.delivery_ended(outcome)
        return ANSWERS[outcome]

    def _judged(self, head: Head) -> Seal | Outcome:
        """Judge a delivery by its head; fields that came in a chunked body's trailer are not among its fields."""
        if head.method != "POST":
            return Outcome.WRONG_METHOD
        if self.in_flight >= self._max_in_flight or not self.accepting:
            return Outcome.OVERLOADED
        if head.length != CHUNKED and head.length > MAX_BODY_BYTES:
            return Outcome.TOO_LARGE
        if head.repeated and not head.repeated.isdisjoint(_SIGNATURE_FIELDS):
            return Outcome.MALFORMED
        sealed = seal(head.fields.get(_SIGNATURE), head.fields.get(_TIMESTAMP))
        return Outcome(sealed.value) if isinstance(sealed, Distrust) else sealed

    async def _keep(self, body: bytes, sealed: Seal) -> Outcome:
        place = await self.signer(body, sealed)
        now_us = self._clock()
        is_fresh = self._verifier.is_fresh(sealed, now_us)
        if place is None:
            self._refusals.note_refused(now_us, timely=is_fresh)
            return Outcome.FORGED
        self._metrics.authenticated(place, now_us - sealed.signed_us)
        if is_fresh:  # what is old, whoever caught it can send again
            self._refusals.note_authentic()
            record, kept = Record(body, now_us, seal=sealed), Outcome.ACCEPTED
        else:
            # Ours, or the sender's, clock is wrong. Kept with its bytes, so that it is not lost by that.
            record, kept = Record(body, now_us, rejection=Distrust.STALE.value, seal=sealed), Outcome.STALE
        began = time.perf_counter()
        await self._appender.append(record)
        self._metrics.appended(time.perf_counter() - began)
        if is_fresh:
            self._refusals.note_accepted(now_us)
        return kept

    async def _signer_here(self, body: bytes, sealed: Seal) -> int | None:
        return self._verifier.signer(body, sealed)


class Delivery(NamedTuple):
    """A delivery whose head was accepted."""

    endpoint: WebhookEndpoint
    sealed: Seal

    def take(self, body: bytes) -> Awaitable[Answer]:
        """Return the answer to the complete delivery."""
        return self.endpoint.take(body, self.sealed)

    def cut_off(self, outcome: Outcome) -> None:
        """Count it: its body never became complete."""
        self.endpoint.cut_off(outcome)
