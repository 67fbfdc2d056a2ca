"""When some ingest was last there to take webhooks: a topic of one record, which all of them write again and again."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream.kafka import KafkaBroker
from faststream.kafka.security import parse_security

from eventlog.kafka import topics as kafka_topics
from eventlog.kafka.connection import (
    FAILURES,
    Connection,
    end,
)
from eventlog.log import LogUnavailableError

DEADLINE_S = 10.0
_KEY = b"ingest"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class KafkaLiveness:
    """Writes and reads the beat of ingests. Both raise LogUnavailableError; `await close()` at the end.

    The topic is compacted: it keeps the last beat, however long ago that was.
    """

    def __init__(self, connection: Connection, *, on_beat: Callable[[float], None] = lambda _: None) -> None:
        """`on_beat` is called for every durable beat with the time it began at, by the monotonic clock in seconds."""
        self._connection = connection
        self._on_beat = on_beat
        self._broker: KafkaBroker | None = None

    async def beat(self, now: datetime) -> None:
        """Write that an ingest is there `now`; return once that is durable."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                broker = await self._connect()
                began = time.monotonic()
                await broker.publish(
                    str((now - _EPOCH) // _MICROSECOND).encode(), self._connection.layout.alive, key=_KEY
                )
        except (TimeoutError, *FAILURES) as error:
            await self.close()  # an idempotent producer that failed for good never works again
            raise LogUnavailableError(f"Kafka: {type(error).__name__}") from None
        self._on_beat(began)

    async def last(self) -> datetime | None:
        """Return when an ingest last wrote a beat; None where none ever did."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._connect()
                return await self._last_beat()
        except (TimeoutError, *FAILURES) as error:
            raise LogUnavailableError(f"Kafka: {type(error).__name__}") from None

    async def close(self) -> None:
        """Let go of the cluster."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await end(broker, DEADLINE_S)

    async def _connect(self) -> KafkaBroker:
        """Return the producer, after making the topic where it is missing."""
        if self._broker is not None:
            return self._broker
        layout, admin = self._connection.layout, self._connection.admin()
        try:
            await admin.start()
            copies = min(layout.copies, len((await admin.describe_cluster())["brokers"]))
            await kafka_topics.make(admin, layout.alive, 1, copies, {"cleanup.policy": "compact"})
        finally:
            await admin.close()
        broker = self._connection.broker()
        await broker.start()
        self._broker = broker
        return broker

    async def _last_beat(self) -> datetime | None:
        # One record, once in a while: that is not worth a subscriber that stays.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=list(self._connection.servers),
            client_id="holdtime",
            enable_auto_commit=False,
            **parse_security(self._connection.security),
        )
        partition = TopicPartition(self._connection.layout.alive, 0)
        try:
            await consumer.start()
            consumer.assign([partition])
            end = (await consumer.end_offsets([partition]))[partition]
            if not end:
                return None
            consumer.seek(partition, end - 1)
            beat_us = (await consumer.getone(partition)).value or b""
            return _EPOCH + int(beat_us) * _MICROSECOND if beat_us.isdigit() else None
        finally:
            await consumer.stop()
