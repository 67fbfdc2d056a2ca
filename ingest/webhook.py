"""The webhook endpoint: one delivery in, one answer out, and a 200 only for a durable record.

A delivery is refused on its head where that is possible, and counts among those in flight only once its body is
complete. Status codes: docs/http.md. Telnyx retries 408, 429 and 5xx and no other 4xx.
"""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from eventlog.log import (
    Appender,
    LogUnavailableError,
    Record,
)
from eventlog.signature_headers import SignatureHeaders
from ingest.http.answers import COME_AGAIN, TOO_LARGE, TOO_SLOW, Answer
from ingest.http.bodies import MAX_BODY_BYTES
from ingest.http.deadline import Deadlines
from ingest.http.request import CHUNKED, Head
from ingest.metrics import DeliveryOutcome, IngestMetrics
from ingest.refusals import Refusals
from ingest.signing.signature import Distrust, Verifier, parse_headers

KeyMatcher = Callable[[bytes, SignatureHeaders], Awaitable[int | None]]
"""Finds the index of the key that signed a body; None if none did."""

_SIGNATURE = b"telnyx-signature-ed25519"
_TIMESTAMP = b"telnyx-timestamp"
_SMALL_BYTES = 16 << 10
_SIGNATURE_FIELDS = frozenset((_SIGNATURE, _TIMESTAMP))


def unix_us() -> int:
    """Return the time: Unix microseconds, from this machine's clock."""
    return time.time_ns() // 1000


# One text for both: a forger does not learn that the signature was right and only the time was not.
_NOT_AUTHENTIC = Answer.of(401, b"not authentic\n")
ANSWERS: dict[DeliveryOutcome, Answer] = {
    DeliveryOutcome.ACCEPTED: Answer.of(200, b""),
    DeliveryOutcome.MISSING: Answer.of(
        400, b"telnyx-signature-ed25519 and telnyx-timestamp are required\n", closes=True
    ),
    DeliveryOutcome.MALFORMED: Answer.of(400, b"headers are malformed\n", closes=True),
    DeliveryOutcome.FORGED: _NOT_AUTHENTIC,
    DeliveryOutcome.STALE: _NOT_AUTHENTIC,
    DeliveryOutcome.WRONG_METHOD: Answer.of(
        405, b"POST only: set webhook_url_method to POST at Telnyx\n", (b"allow", b"POST"), closes=True
    ),
    DeliveryOutcome.TOO_SLOW: TOO_SLOW,
    DeliveryOutcome.TOO_LARGE: TOO_LARGE,
    DeliveryOutcome.OVERLOADED: COME_AGAIN,
    DeliveryOutcome.UNAVAILABLE: Answer.of(503, b"come again\n", (b"retry-after", b"2")),
}
"""The answer of each outcome. A sender that disconnected gets none."""


class WebhookEndpoint:
    """Takes deliveries in: shape, size, signature, age, in this order; then keeps them."""

    def __init__(
        self,
        *,
        verifier: Verifier,
        matching_key: KeyMatcher | None = None,
        appender: Appender,
        metrics: IngestMetrics,
        refusals: Refusals | None = None,
        clock: Callable[[], int] = unix_us,
        keep_deadline_s: float = 1.5,
        max_in_flight: int = 1000,
        max_held_bytes: int = 16 << 20,
    ) -> None:
        """Bind the endpoint to its log; `clock` gives Unix microseconds.

        `matching_key` checks a delivery in another process: see `checker`. Without it `verifier` does, on the loop.
        `keep_deadline_s` is for the check and the log, and stays below the 2 s after which Telnyx gives up on us.
        `max_held_bytes` is for the large bodies in flight: complete, over 16 KiB, not known to be authentic yet.
        """
        self._verifier = verifier
        self.matching_key = matching_key or self._matching_key_here
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

    def admit(self, head: Head) -> "WebhookDelivery | Answer":
        """Return the delivery that the head begins, or the answer that refuses it."""
        headers = self._judge(head)
        if isinstance(headers, DeliveryOutcome):
            return self._end(headers)
        return WebhookDelivery(self, headers)

    async def take(self, body: bytes, headers: SignatureHeaders) -> Answer:
        """Answer a complete delivery."""
        # Small bodies are bounded by number. Large ones, which Telnyx hardly sends, are bounded by bytes as well.
        size = len(body) if len(body) > _SMALL_BYTES else 0
        if self.in_flight >= self._max_in_flight or (size and self.held_bytes + size > self._max_held_bytes):
            return self._end(DeliveryOutcome.OVERLOADED)
        self.in_flight += 1
        self.held_bytes += size
        try:
            with self._deadlines.begin(self._keep_deadline_s):
                outcome = await self._keep(body, headers)
        except (TimeoutError, LogUnavailableError):
            outcome = DeliveryOutcome.UNAVAILABLE
        finally:
            self.in_flight -= 1
            self.held_bytes -= size
        return self._end(outcome)

    def cut_off(self, outcome: DeliveryOutcome) -> None:
        """Count a delivery whose body never became complete."""
        self._metrics.delivery_ended(outcome)

    def _end(self, outcome: DeliveryOutcome) -> Answer:
        self._metrics.delivery_ended(outcome)
        return ANSWERS[outcome]

    def _judge(self, head: Head) -> SignatureHeaders | DeliveryOutcome:
        """Judge a delivery by its head; the fields of a chunked body's trailer are not part of the head."""
        if head.method != "POST":
            return DeliveryOutcome.WRONG_METHOD
        if self.in_flight >= self._max_in_flight or not self.accepting:
            return DeliveryOutcome.OVERLOADED
        if head.length != CHUNKED and head.length > MAX_BODY_BYTES:
            return DeliveryOutcome.TOO_LARGE
        if head.repeated and not head.repeated.isdisjoint(_SIGNATURE_FIELDS):
            return DeliveryOutcome.MALFORMED
        headers = parse_headers(head.fields.get(_SIGNATURE), head.fields.get(_TIMESTAMP))
        return DeliveryOutcome(headers.value) if isinstance(headers, Distrust) else headers

    async def _keep(self, body: bytes, headers: SignatureHeaders) -> DeliveryOutcome:
        index = await self.matching_key(body, headers)
        now_us = self._clock()
        is_fresh = self._verifier.is_fresh(headers, now_us)
        if index is None:
            self._refusals.note_refused(now_us, timely=is_fresh)
            return DeliveryOutcome.FORGED
        self._metrics.authenticated(index, now_us - headers.signed_us)
        if is_fresh:  # anybody who caught an old delivery can send it again
            self._refusals.note_authentic()
            record, kept = Record(body, now_us, signature_headers=headers), DeliveryOutcome.ACCEPTED
        else:
            # A clock is wrong, ours or the sender's. The delivery is kept, so that it is not lost.
            record = Record(body, now_us, rejection=Distrust.STALE.value, signature_headers=headers)
            kept = DeliveryOutcome.STALE
        began = time.perf_counter()
        await self._appender.append(record)
        self._metrics.appended(time.perf_counter() - began)
        if is_fresh:
            self._refusals.note_accepted(now_us)
        return kept

    async def _matching_key_here(self, body: bytes, headers: SignatureHeaders) -> int | None:
        return self._verifier.matching_key(body, headers)


class WebhookDelivery(NamedTuple):
    """A delivery whose head was accepted."""

    endpoint: WebhookEndpoint
    headers: SignatureHeaders

    def take(self, body: bytes) -> Awaitable[Answer]:
        """Return the answer to the complete delivery."""
        return self.endpoint.take(body, self.headers)

    def cut_off(self, outcome: DeliveryOutcome) -> None:
        """Count the delivery: its body never became complete."""
        self.endpoint.cut_off(outcome)
