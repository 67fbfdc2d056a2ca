"""The webhook endpoint: one delivery in, one answer out, and a 200 only for what is durable.

It speaks raw ASGI: the body must stay the bytes that were signed, and a request object would cost more than the rest.
Status codes: docs/architecture.md. Telnyx retries 408, 429 and 5xx and no other 4xx.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope, Send

from ingest.deadline import Deadlines
from ingest.log import Appender, LogUnavailableError, Record
from ingest.metrics import IngestMetrics, Outcome
from ingest.signature import Distrust, Seal, Verifier, seal

Signer = Callable[[bytes, Seal], Awaitable[int | None]]

MAX_BODY_BYTES = 1 << 20
_RETRY_AFTER_S = b"2"


def unix_us() -> int:
    """Return the time: Unix microseconds, from this machine's clock."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response, made once and sent often."""

    start: Message
    body: Message


def _answer(status: int, text: bytes, *headers: tuple[bytes, bytes], close: bool = False) -> Answer:
    """Make an answer; `close` where the request's body was not read to its end, so that it cannot go on for ever."""
    fixed = [(b"content-length", b"%d" % len(text))]
    if text:
        fixed.append((b"content-type", b"text/plain; charset=utf-8"))
    closing = [(b"connection", b"close")] if close else []
    start = {"type": "http.response.start", "status": status, "headers": [*fixed, *headers, *closing]}
    return Answer(start, {"type": "http.response.body", "body": text})


_RETRY_AFTER = (b"retry-after", _RETRY_AFTER_S)
# One text for both: a forger does not learn that the signature was right and only the time was not.
_NOT_AUTHENTIC = _answer(401, b"not authentic\n")
ANSWERS: dict[Outcome, Answer] = {
    Outcome.ACCEPTED: _answer(200, b""),
    Outcome.MISSING: _answer(400, b"telnyx-signature-ed25519 and telnyx-timestamp are required\n", close=True),
    Outcome.MALFORMED: _answer(400, b"headers are malformed\n", close=True),
    Outcome.FORGED: _NOT_AUTHENTIC,
    Outcome.STALE: _NOT_AUTHENTIC,
    Outcome.WRONG_METHOD: _answer(405, b"POST only\n", (b"allow", b"POST"), close=True),
    Outcome.TOO_SLOW: _answer(408, b"body not complete in time\n", close=True),
    Outcome.TOO_LARGE: _answer(413, b"body over 1 MiB\n", close=True),
    Outcome.OVERLOADED: _answer(503, b"come again\n", _RETRY_AFTER, close=True),
    Outcome.UNAVAILABLE: _answer(503, b"come again\n", _RETRY_AFTER),
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
        clock: Callable[[], int] = unix_us,
        body_deadline_s: float = 5.0,
        keep_deadline_s: float = 1.5,
        max_in_flight: int = 1000,
        max_held_bytes: int = 64 << 20,
    ) -> None:
        """Bind the endpoint to its log; `clock` gives Unix microseconds.

        `signer` finds the key that signed a delivery, elsewhere than here: see `checker`. Without it `verifier` does.
        `keep_deadline_s` is for the check and the log, and stays below the 2 s after which Telnyx gives up on us.
        `max_held_bytes` is for the bodies of all that are in flight, which nobody has vouched for yet.
        """
        self._verifier = verifier
        self.signer = signer or self._signer_here
        self._appender = appender
        self._metrics = metrics
        self._clock = clock
        self._body_deadline_s = body_deadline_s
        self._keep_deadline_s = keep_deadline_s
        self._max_in_flight = max_in_flight
        self._max_held_bytes = max_held_bytes
        self._deadlines = Deadlines()
        self.in_flight = self.held_bytes = 0
        self.accepting = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if self.in_flight >= self._max_in_flight or not self.accepting:
            outcome = Outcome.OVERLOADED if scope["method"] == "POST" else Outcome.WRONG_METHOD
        else:
            self.in_flight += 1
            try:
                outcome = await self._take(scope, receive)
            finally:
                self.in_flight -= 1
        self._metrics.delivery_ended(outcome)
        answer = ANSWERS.get(outcome)
        if answer is not None:
            await send(answer.start)
            await send(answer.body)

    async def _take(self, scope: Scope, receive: Receive) -> Outcome:
        if scope["method"] != "POST":
            return Outcome.WRONG_METHOD
        sealed = _sealed(scope["headers"])
        if isinstance(sealed, Outcome):
            return sealed
        late = Outcome.TOO_SLOW
        chunks: list[bytes] = []
        try:
            with self._deadlines.begin(self._body_deadline_s) as deadline:
                fault = await self._read(receive, chunks)
                if fault is not None:
                    return fault
                deadline.renew(self._keep_deadline_s)
                late = Outcome.UNAVAILABLE
                return await self._keep(b"".join(chunks), sealed)
        except TimeoutError:
            return late
        except LogUnavailableError:
            return Outcome.UNAVAILABLE
        finally:
            self.held_bytes -= sum(map(len, chunks))

    async def _read(self, receive: Receive, chunks: list[bytes]) -> Outcome | None:
        """Read the body into `chunks`, to its end or until it is too large, whatever its length was declared to be."""
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return Outcome.DISCONNECTED
            chunk: bytes = message.get("body", b"")
            chunks.append(chunk)
            size += len(chunk)
            self.held_bytes += len(chunk)
            if size > MAX_BODY_BYTES:
                return Outcome.TOO_LARGE
            if self.held_bytes > self._max_held_bytes:
                return Outcome.OVERLOADED
            if not message.get("more_body", False):
                return None

    async def _keep(self, body: bytes, sealed: Seal) -> Outcome:
        place = await self.signer(body, sealed)
        if place is None:
            return Outcome.FORGED
        now_us = self._clock()
        self._metrics.authenticated(place, now_us - sealed.signed_us)
        if self._verifier.is_fresh(sealed, now_us):
            record, kept = Record(body, now_us, seal=sealed), Outcome.ACCEPTED
        else:
            # Ours, or the sender's, clock is wrong. Kept with its bytes, so that it is not lost by that.
            record, kept = Record(body, now_us, rejection=Distrust.STALE.value, seal=sealed), Outcome.STALE
        began = time.perf_counter()
        await self._appender.append(record)
        self._metrics.appended(time.perf_counter() - began)
        return kept

    async def _signer_here(self, body: bytes, sealed: Seal) -> int | None:
        return self._verifier.signer(body, sealed)


def _sealed(headers: list[tuple[bytes, bytes]]) -> Seal | Outcome:
    """Read what the headers say of the delivery, before any of its body is read."""
    signature = timestamp = None
    for name, value in headers:
        if name == b"telnyx-signature-ed25519":
            if signature is not None:
                return Outcome.MALFORMED
            signature = value
        elif name == b"telnyx-timestamp":
            if timestamp is not None:
                return Outcome.MALFORMED
            timestamp = value
        elif name == b"content-length":
            if not value.isdigit():
                return Outcome.MALFORMED
            # More than 15 digits need not become a number to be too many.
            if len(value) > 15 or int(value) > MAX_BODY_BYTES:
                return Outcome.TOO_LARGE
    sealed = seal(signature, timestamp)
    return Outcome(sealed.value) if isinstance(sealed, Distrust) else sealed
