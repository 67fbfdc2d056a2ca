"""Deliveries for the tests of ingest: signed the way Telnyx signs, sent to an ASGI callable without a server."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nacl.signing import SigningKey
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Scope

from ingest.log import LogUnavailableError, Record
from ingest.metrics import IngestMetrics
from ingest.signature import Verifier
from ingest.webhook import WebhookEndpoint

KEY = SigningKey(bytes(range(32)))
OTHER_KEY = SigningKey(bytes(range(1, 33)))
NOW_S = 1_767_261_600
NOW_US = NOW_S * 1_000_000
EVENT = b'{"data":{"record_type":"event","event_type":"call.initiated","id":"1","payload":{}},"meta":{"attempt":1}}'

Headers = Sequence[tuple[bytes, bytes]]


def signature(body: bytes, *, at: bytes | int = NOW_S, key: SigningKey = KEY) -> bytes:
    """Return the signature header's value."""
    timestamp = b"%d" % at if isinstance(at, int) else at
    return base64.b64encode(key.sign(timestamp + b"|" + body).signature)


def signed(body: bytes, *, at: int = NOW_S, key: SigningKey = KEY) -> list[tuple[bytes, bytes]]:
    """Return the headers of a delivery of `body`, signed at Unix second `at`."""
    return [
        (b"content-type", b"application/json"),
        (b"telnyx-timestamp", b"%d" % at),
        (b"telnyx-signature-ed25519", signature(body, at=at, key=key)),
    ]


@dataclass
class Answered:
    """What came back; status 0 when nothing did."""

    status: int = 0
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


async def deliver(
    app: ASGIApp, *chunks: bytes, headers: Headers = (), method: str = "POST", cut: str | None = None
) -> Answered:
    """Send one request; `cut` ends its body early: "hangs" or "disconnects" instead of a last chunk."""
    path = "/webhooks/telnyx"
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "query_string": b""}
    sent = list(chunks) or [b""]
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in sent]
    if cut is None:
        messages[-1]["more_body"] = False
    elif cut == "disconnects":
        messages.append({"type": "http.disconnect"})
    answered = Answered()

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert answered.status == 0, "a second response was begun"
            answered.status, answered.headers = message["status"], dict(message["headers"])
        else:
            answered.body += message["body"]

    await app(scope, receive, send)
    return answered


class MemoryLog:
    """An Appender that keeps records in a list; it can be made to fail or to hang."""

    def __init__(self) -> None:
        """Begin empty and well."""
        self.records: list[Record] = []
        self.fails = False
        self.hangs = False

    async def append(self, record: Record) -> None:
        """Keep the record."""
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise LogUnavailableError("as the test wants it")
        self.records.append(record)


@dataclass
class Receiver:
    """A webhook endpoint with the parts around it in reach. Its clock stands at NOW."""

    log: MemoryLog
    registry: CollectorRegistry
    endpoint: WebhookEndpoint

    def deliver(self, *chunks: bytes, headers: Headers = (), method: str = "POST", cut: str | None = None) -> Answered:
        """Send one request on an event loop of its own."""
        return asyncio.run(deliver(self.endpoint, *chunks, headers=headers, method=method, cut=cut))

    def count(self, outcome: str) -> float:
        """Return how many deliveries ended so."""
        return self.registry.get_sample_value("holdtime_ingest_deliveries_total", {"outcome": outcome}) or 0


def a_receiver(
    *keys: SigningKey,
    body_deadline_s: float = 5.0,
    keep_deadline_s: float = 1.5,
    max_in_flight: int = 1000,
    max_held_bytes: int = 64 << 20,
) -> Receiver:
    """Return a receiver that trusts `keys`, or KEY."""
    log, registry = MemoryLog(), CollectorRegistry()
    trusted = keys or (KEY,)
    endpoint = WebhookEndpoint(
        verifier=Verifier(tuple(key.verify_key for key in trusted)),
        appender=log,
        metrics=IngestMetrics(registry, keys=len(trusted)),
        clock=lambda: NOW_US,
        body_deadline_s=body_deadline_s,
        keep_deadline_s=keep_deadline_s,
        max_in_flight=max_in_flight,
        max_held_bytes=max_held_bytes,
    )
    return Receiver(log, registry, endpoint)
