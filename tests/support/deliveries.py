"""Deliveries for the tests of ingest: signed the way Telnyx signs, sent to an endpoint without a server."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass

from nacl.signing import SigningKey
from prometheus_client import CollectorRegistry

from eventlog.log import LogUnavailableError, Record
from ingest.http.answers import Answer
from ingest.http.request import Head, HeadReader
from ingest.metrics import IngestMetrics
from ingest.refusals import Refusals
from ingest.signing.signature import Verifier
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


def a_head(*headers: tuple[bytes, bytes], method: str = "POST", target: str = "/webhooks/telnyx") -> Head:
    """Return the head of a request, read from its bytes."""
    lines = [f"{method} {target} HTTP/1.1".encode(), *(name + b": " + value for name, value in headers)]
    reader = HeadReader()
    reader.feed(b"\r\n".join(lines) + b"\r\n\r\n")
    assert reader.head is not None
    return reader.head


async def deliver(
    endpoint: WebhookEndpoint, body: bytes = EVENT, *, headers: Headers = (), method: str = "POST"
) -> Answer:
    """Send one delivery; its length is declared unless the headers say otherwise."""
    framed = any(name in {b"content-length", b"transfer-encoding"} for name, _ in headers)
    declared = [] if framed else [(b"content-length", b"%d" % len(body))]
    admitted = endpoint.admit(a_head(*headers, *declared, method=method))
    return admitted if isinstance(admitted, Answer) else await admitted.take(body)


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
    refusals: Refusals

    def deliver(self, body: bytes = EVENT, *, headers: Headers = (), method: str = "POST") -> Answer:
        """Send one delivery on an event loop of its own."""
        return asyncio.run(deliver(self.endpoint, body, headers=headers, method=method))

    def count(self, outcome: str) -> float:
        """Return how many deliveries ended so."""
        return self.registry.get_sample_value("holdtime_ingest_deliveries_total", {"outcome": outcome}) or 0


def a_receiver(
    *keys: SigningKey,
    keep_deadline_s: float = 1.5,
    max_in_flight: int = 1000,
    max_held_bytes: int = 16 << 20,
) -> Receiver:
    """Return a receiver that trusts `keys`, or KEY."""
    log, registry, refusals = MemoryLog(), CollectorRegistry(), Refusals(lambda: NOW_US)
    trusted = keys or (KEY,)
    endpoint = WebhookEndpoint(
        verifier=Verifier(tuple(key.verify_key for key in trusted)),
        appender=log,
        metrics=IngestMetrics(registry, keys=len(trusted)),
        refusals=refusals,
        clock=lambda: NOW_US,
        keep_deadline_s=keep_deadline_s,
        max_in_flight=max_in_flight,
        max_held_bytes=max_held_bytes,
    )
    return Receiver(log, registry, endpoint, refusals)
