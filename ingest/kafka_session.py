"""A session with a Kafka cluster: a FastStream batch subscriber to all partitions, and what it read and nobody took."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Self, TypeAlias, cast

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka import TopicPartition as Partition
from faststream.kafka import KafkaBroker, KafkaMessage, TopicPartition
from faststream.kafka.message import FAKE_CONSUMER
from faststream.kafka.subscriber.usecase import LogicSubscriber
from faststream.middlewares import AckPolicy

from ingest.batch import Positions
from ingest.kafka_topics import Layout, partition_number
from ingest.log import LogUnavailableError

Record: TypeAlias = ConsumerRecord

BUFFER_BYTES = 96 << 20
"""As much is read ahead, beside the batch that lands."""

_POLL_MS = 20

log = structlog.get_logger("kafka")


@dataclass(slots=True)
class Session:
    """A subscriber to all partitions, what it has read and nobody has taken yet, and where it stands.

    `next_read` and `next_taken` give, by partition, the offset that has to come next from Kafka and from the buffer.
    """

    broker: KafkaBroker
    layout: Layout
    partitions: dict[str, int]
    broken: str | None = None
    next_read: Positions = field(default_factory=dict)
    next_taken: Positions = field(default_factory=dict)
    _buffer: deque[list[Record]] = field(default_factory=deque)
    _bytes: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _consumer: AIOKafkaConsumer | None = None
    _gaps: set[int] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Subscribe, without a group, to every partition."""
        self._loop = asyncio.get_running_loop()
        self._room.set()
        assigned = [
            TopicPartition(topic, number, declare=False)
            for topic, count in self.partitions.items()
            for number in range(count)
        ]
        subscriber = self.broker.subscriber(
            partitions=assigned,
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            batch_timeout_ms=_POLL_MS,
            max_records=20_000,
            fetch_max_bytes=16 << 20,
            max_partition_fetch_bytes=8 << 20,
            no_reply=True,
            parser=_as_it_is,
            decoder=_raw,
        )
        subscriber(self._take_in)
        require_manual(self.broker)
        try:
            await self.broker.start()
            self._consumer = subscriber.consumer
            for topic, count in self.partitions.items():
                for number in range(count):
                    self.next_read[partition_number(topic, number)] = -1  # nobody has asked for anything yet
            self.next_taken = dict(self.next_read)
            yield self
        finally:
            await self.broker.stop()

    def stands_after(self, after: Positions) -> bool:
        """Say whether what will be taken next is what follows `after`."""
        with self._changed:
            return self.next_taken == {number: after.get(number, -1) + 1 for number in self.next_taken}

    def stands_at(self, ends: Positions) -> bool:
        """Say whether everything before `ends` has been taken."""
        with self._changed:
            return all(self.next_taken[number] >= following for number, following in ends.items())

    def take(self, limit: int, *, wait_s: float) -> list[Record]:
        """Return up to `limit` records out of the buffer, waiting up to `wait_s` for the first."""
        taken: list[Record] = []
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self.broken, wait_s)
            while self._buffer and len(taken) < limit:
                run = self._buffer[0]
                part = run[: limit - len(taken)]
                taken += part
                if len(part) == len(run):
                    self._buffer.popleft()
                else:
                    self._buffer[0] = run[len(part) :]
                last = part[-1]
                self.next_taken[partition_number(last.topic, last.partition)] = last.offset + 1
            self._bytes -= sum(len(record.value or b"") for record in taken)
            has_room = self._bytes < BUFFER_BYTES
        if taken and has_room and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop ended meanwhile: nobody waits for room
                self._loop.call_soon_threadsafe(self._room.set)
        return taken

    async def seek(self, after: Positions) -> None:
        """Read on after those positions, whatever was read before."""
        consumer = self._subscribed()
        with self._changed:
            self._buffer.clear()
            self._bytes = 0
            self._gaps.clear()
            for number in self.next_read:
                self.next_read[number] = self.next_taken[number] = after.get(number, -1) + 1
        for number, offset in self.next_read.items():
            consumer.seek(self._partition(number), offset)
        self._room.set()

    async def ends(self) -> Positions:
        """The offset that each partition's next record will have."""
        ends = await self._subscribed().end_offsets([self._partition(number) for number in self.next_read])
        return {partition_number(partition.topic, partition.partition): offset for partition, offset in ends.items()}

    def has_more_partitions(self) -> bool:
        """Say whether a topic has got partitions that are not read here."""
        consumer = self._subscribed()
        known = {topic: consumer.partitions_for_topic(topic) or set() for topic in self.partitions}
        return any(len(known[topic]) > count for topic, count in self.partitions.items())

    def break_off(self, reason: str) -> None:
        """Let whoever waits for records know that there will be none."""
        with self._changed:
            self.broken = reason
            self._changed.notify_all()

    def _subscribed(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise LogUnavailableError("not subscribed yet")
        return self._consumer

    def _partition(self, number: int) -> Partition:
        return Partition(*self.layout.topic_and_partition(number))

    async def _take_in(self, records: Sequence[Record]) -> None:
        """Put what the subscriber read into the buffer, and wait until that has room again."""
        for (topic, partition_), run in groupby(records, key=lambda record: (record.topic, record.partition)):
            await self._take_in_run(partition_number(topic, partition_), list(run))
        await self._room.wait()

    async def _take_in_run(self, number: int, run: list[Record]) -> None:
        following = self.next_read[number]
        if run[0].offset > following >= 0 and number not in self._gaps:
            await self._look_at_gap(number, following)
        with self._changed:
            following = self.next_read[number]  # somebody may have sought meanwhile
            if following < 0 or (run[0].offset > following and number not in self._gaps):
                return
            run = [record for record in run if record.offset >= following]
            if not run:
                return
            self._gaps.discard(number)
            self._buffer.append(run)
            self._bytes += sum(len(record.value or b"") for record in run)
            self.next_read[number] = run[-1].offset + 1
            if self._bytes >= BUFFER_BYTES:
                self._room.clear()
            self._changed.notify_all()

    async def _look_at_gap(self, number: int, following: int) -> None:
        """Find out whether Kafka dropped what should have come next; if it is still there, read it."""
        consumer, partition_ = self._subscribed(), self._partition(number)
        first = (await consumer.beginning_offsets([partition_]))[partition_]
        if first > following:
            log.error("log_records_lost", topic=partition_.topic, partition=number, first_lost=following, next=first)
            self._gaps.add(number)
        else:
            consumer.seek(partition_, following)


def require_manual(broker: KafkaBroker) -> None:
    """Raise AssertionError unless no subscriber of the broker can move a position on its own.

    FastStream's default commits before the handler has run, and a policy of the broker does not reach all subscribers.
    """
    for subscriber in cast("list[LogicSubscriber[Any]]", broker.subscribers):
        policy = subscriber.ack_policy
        commits = subscriber._connection_args.get("enable_auto_commit", True)
        if policy is not AckPolicy.MANUAL or commits or subscriber.group_id is not None:
            raise AssertionError(f"{subscriber} has {policy}, expected MANUAL without a group: it would lose records")


async def _as_it_is(records: tuple[Record, ...]) -> KafkaMessage:
    """Spare the parsing of each record's headers: who takes the batch reads them."""
    return KafkaMessage(raw_message=records, body=b"", headers=_text_headers(records[0]), consumer=FAKE_CONSUMER)


def _text_headers(record: Record) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers}


async def _raw(message: KafkaMessage) -> object:
    return message.raw_message
