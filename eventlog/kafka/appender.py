"""The writing side of the log on Kafka."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any

import stamina
import structlog
from aiokafka.errors import KafkaTimeoutError
from faststream.kafka import KafkaBroker

from eventlog.kafka import topics as kafka_topics
from eventlog.kafka.connection import (
    FAILURES,
    Connection,
    end,
)
from eventlog.kafka.records import address, headers
from eventlog.kafka.topics import MAX_RECORD_BYTES
from eventlog.log import LogUnavailableError, Record

DEADLINE_S = 1.4
"""How long an append may take: an idempotent producer tries for ever, and the sender of a webhook waits for 2 s."""

STUCK_S = 20.0
"""How long all appends may fail before the producer is replaced by a new one, though the cluster answers."""

_START_S = 5.0
"""How long `start` waits for the cluster, to refuse topics that lose records before any delivery is taken."""

_STOP_S = 5.0
_RETRY_TOPICS_S = 30.0

MAX_VALUE_BYTES = MAX_RECORD_BYTES - (64 << 10)
"""The largest body: the rest is for the record's headers, its key and the bytes that Kafka adds."""

log = structlog.get_logger("kafka")


class KafkaAppender:
    """Appends records to the cluster's topics; a record counts when all in-sync copies have it.

    `await start()` on the event loop that will append. It returns although the cluster is away, and appends succeed
    once the cluster comes. A record whose append failed may still arrive later: a record that is in the log twice lands
    once.
    """

    def __init__(self, connection: Connection, *, deadline_s: float = DEADLINE_S) -> None:
        self._connection = connection
        self._deadline_s = deadline_s
        self._broker: KafkaBroker | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._succeeded_at = time.monotonic()
        self._failed_at: float | None = None
        self._in_flight: set[asyncio.Task[Any] | None] = set()
        self.unavailable: str | None = "the Kafka cluster has not answered yet"

    async def start(self) -> None:
        """Begin to connect; raise UnusableTopicError where the cluster answers and its topics lose records."""
        first = self._connecting = self._start_task(self._connect())
        done, _ = await asyncio.wait([first], timeout=_START_S)
        if done and first.exception() is not None:
            self._connecting.cancel()
            first.result()

    async def close(self) -> None:
        """Wait for the appends under way, then let go of the cluster."""
        while self._in_flight:  # noqa: ASYNC110 - each of them ends at its own deadline
            await asyncio.sleep(0.01)
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError, kafka_topics.UnusableTopicError):
                await self._connecting
        await asyncio.gather(*self._retired)
        if self._broker is not None:
            await end(self._broker, _STOP_S)
            self._broker = None

    async def append(self, record: Record) -> None:
        """Return once the record is durable; raise LogUnavailableError."""
        broker = self._broker
        if broker is None:
            raise LogUnavailableError(self.unavailable or "not connected to Kafka")
        if len(record.body) > MAX_VALUE_BYTES:
            raise LogUnavailableError(f"Kafka takes bodies of {MAX_VALUE_BYTES:,} bytes, found {len(record.body):,}")
        to = address(record, self._connection.layout)
        task = asyncio.current_task()
        self._in_flight.add(task)
        try:
            async with asyncio.timeout(self._deadline_s):
                await broker.publish(
                    record.body, to.topic, key=to.key, headers=headers(record, to), correlation_id=to.event_id or "none"
                )
        except TimeoutError:
            self._fail(broker, f"Kafka did not confirm a record within {self._deadline_s} s", fatal=False)
        except FAILURES as error:
            self._fail(broker, f"Kafka: {type(error).__name__}", fatal=not _is_passing(error))
        else:
            self.unavailable = self._failed_at = None
            self._succeeded_at = time.monotonic()
        finally:
            self._in_flight.discard(task)

    def confirm_writable(self, began: float) -> None:
        """Note that the cluster took a write of some process that began then, by the monotonic clock.

        Appends that failed before may succeed now. Only the next append could show it, and a process that is not ready
        is sent no deliveries. Without a producer that could append, the write shows nothing.
        """
        is_connected = self._broker is not None and (self._connecting is None or self._connecting.done())
        if is_connected and self._failed_at is not None and self._failed_at < began:
            self.unavailable = self._failed_at = None
            log.info("log_available")

    def _fail(self, broker: KafkaBroker, reason: str, *, fatal: bool) -> None:
        """Note a failed append; a producer that failed for good is replaced. Raises LogUnavailableError."""
        if self.unavailable is None:
            log.error("log_unavailable", reason=reason)
        self.unavailable = reason
        self._failed_at = time.monotonic()
        stuck = time.monotonic() - self._succeeded_at > STUCK_S
        idle = self._connecting is None or self._connecting.done()
        if (fatal or stuck) and broker is self._broker and idle:
            self._connecting = self._start_task(self._connect())
        raise LogUnavailableError(reason)

    def _start_task(self, connecting: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(connecting)
        task.add_done_callback(self._check_connected)
        return task

    def _check_connected(self, connecting: asyncio.Task[None]) -> None:
        """Report topics that cannot be used, and connect again after a while: somebody may have put them right."""
        error = None if connecting.cancelled() else connecting.exception()
        if error is not None:
            self.unavailable, self._failed_at = str(error), None
            log.error("log_unavailable", reason=self.unavailable)
            self._connecting = self._start_task(self._connect(after_s=_RETRY_TOPICS_S))

    async def _connect(self, *, after_s: float = 0.0) -> None:
        """Make a producer, however long that takes, and replace the one before with it."""
        await asyncio.sleep(after_s)
        async for attempt in stamina.retry_context(on=FAILURES, attempts=None, timeout=None, wait_max=2.0):
            with attempt:
                broker = await self._make_broker()
        before, self._broker = self._broker, broker
        self._succeeded_at = time.monotonic()
        self.unavailable = self._failed_at = None
        log.info("log_connected", servers=",".join(self._connection.servers))
        if before is not None:  # it may still deliver the records that it holds
            retiring = asyncio.create_task(end(before, _STOP_S))
            self._retired.add(retiring)
            retiring.add_done_callback(self._retired.discard)

    async def _make_broker(self) -> KafkaBroker:
        async with contextlib.AsyncExitStack() as stack:
            admin = self._connection.admin()
            stack.push_async_callback(admin.close)
            try:
                await admin.start()
                await kafka_topics.ensure(admin, self._connection.layout)
            except FAILURES as error:
                if self._broker is None:
                    self.unavailable = f"Kafka: {type(error).__name__} {error}"
                raise
            broker = self._connection.broker()
            try:
                await broker.start()
            except BaseException:
                with contextlib.suppress(Exception):
                    await broker.stop()
                raise
            return broker


def _is_passing(error: Exception) -> bool:
    """Say whether the next attempt of the same producer may succeed."""
    return isinstance(error, (KafkaTimeoutError, OSError)) or getattr(error, "retriable", False)
