"""How to reach a Kafka cluster: addresses, security, and the clients made from them."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faststream.exceptions import FastStreamException
from faststream.kafka import KafkaBroker
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from eventlog.kafka.internals import abandon, producer_of
from eventlog.kafka.topics import MAX_RECORD_BYTES, Layout

MECHANISMS = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}

FAILURES = (KafkaError, FastStreamException, OSError)
"""The errors of talking to a cluster that a later attempt may not meet."""

_REQUEST_TIMEOUT_MS = 5_000
"""How long a broker has to answer before another one is asked. Kafka's clients wait for 40 s by default."""

_BATCH_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster and how to reach it. `middlewares` see every record that is published or read (tracing, say)."""

    servers: tuple[str, ...]
    security: BaseSecurity | None = field(default=None, repr=False)
    layout: Layout = field(default_factory=Layout)
    middlewares: Sequence[Any] = ()

    def broker(self, *, consumer_only: bool = False) -> KafkaBroker:
        """Return a FastStream broker for plain bytes, whose producer never loses, repeats or reorders a record."""
        return KafkaBroker(
            list(self.servers),
            security=self.security,
            client_id="holdtime",
            consumer_only=consumer_only,
            allow_auto_create_topics=False,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=60_000,
            acks="all",
            enable_idempotence=True,
            compression_type="zstd",  # they are kept for ever: an eighth of the bytes to keep, and to read back
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=_BATCH_BYTES,
            apply_types=False,
            middlewares=self.middlewares,
            graceful_timeout=None,
            logger=None,
        )

    def admin(self) -> AIOKafkaAdminClient:
        """Return a client that describes topics and makes them."""
        secured = parse_security(self.security)
        return AIOKafkaAdminClient(
            bootstrap_servers=list(self.servers),
            client_id="holdtime",
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            security_protocol=secured.pop("security_protocol", "PLAINTEXT"),
            **secured,
        )


async def end(broker: KafkaBroker, within_s: float) -> None:
    """Stop the broker; records that its producer does not deliver within so many seconds are given up.

    aiokafka waits without bound for the records that an idempotent producer holds. A producer that is merely left
    alone keeps its memory, and delivers at any later time, after newer records of another producer.
    """
    producer = producer_of(broker)
    try:
        async with asyncio.timeout(within_s):
            await broker.stop()
    except (TimeoutError, *FAILURES):
        if producer is not None:
            await abandon(producer, KafkaTimeoutError("given up"))
        with contextlib.suppress(TimeoutError, *FAILURES):
            await asyncio.wait_for(broker.stop(), within_s)  # the rest of it


def security(
    *, mechanism: str | None, username: str, password: str, tls: bool, ca_file: Path | None
) -> BaseSecurity | None:
    """Return how client and cluster prove who they are; None where neither does. Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None) if tls else None
    if mechanism is None:
        return BaseSecurity(ssl_context=context, use_ssl=True) if tls else None
    return MECHANISMS[mechanism](username=username, password=password, ssl_context=context, use_ssl=tls)
