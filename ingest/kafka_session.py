"""A session with a Kafka cluster: a FastStream batch subscriber to all partitions, and what it read and nobody took."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Self, TypeAlias, cast

import pyarrow as pa
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka import TopicPartition as Partition
from faststream.kafka import KafkaBroker, KafkaMessage, TopicPartition
from faststream.kafka.message import FAKE_CONSUMER
from faststream.kafka.subscriber.usecase import LogicSubscriber
from faststream.middlewares import AckPolicy

from ingest.batch import ROWS_A_CHUNK, Batch, Positions
from ingest.kafka_connection import FAILURES
from ingest.kafka_records import batch
from ingest.kafka_topics import Layout, partition_number
from ingest.log import LogUnavailableError

Record: TypeAlias = ConsumerRecord

BUFFER_BYTES = 96 << 20
"""As much is read ahead, beside the batch that lands."""

_POLL_MS = 20
_FETCH_WAIT_MS = 100
"""How long a broker holds a request while nothing comes: a partition that is not in the request waits as long."""

_FETCH_BYTES = 512 << 10
"""Of one partition at a time: so all of them are read at one pace, and what lands together happened at one time."""

_FILL_S = 1.0

_MOST_LINKS = 128
"""As many as OpenTelemetry keeps of a span."""

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
    _buffer: deque[pa.RecordBatch] = field(default_factory=deque)
    _loose: list[Record] = field(default_factory=list)
    _records: int = 0
    _bytes: int = 0
    _is_behind: bool = False
    _fault: Exception | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _consumer: AIOKafkaConsumer | None = None
    _gaps: set[int] = field(default_factory=set)
    _asked: Positions = field(default_factory=dict)

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
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            no_reply=True,
            parser=_linked if self.broker.middlewares else _as_it_is,
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
            # Whoever asks only where the log ends does not have to hear all of it.
            self._subscribed().pause(*map(self._partition, self.next_read))
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

    def take(self, limit: int, *, wait_s: float) -> Batch:
        """Return up to `limit` records out of the buffer, waiting up to `wait_s` for the first.

        While Kafka is known to have more, a short while for a batch that is worth landing. Raises what no new session
        could help against.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._records or self.broken, wait_s)
            if self._records:
                self._changed.wait_for(lambda: self._is_enough(limit), _FILL_S)
            if self._fault is not None:
                raise self._fault
            self._bring_into_columns()
            chunks, room = [], limit
            while self._buffer and room:
                chunk = self._buffer.popleft()
                if chunk.num_rows > room:
                    self._buffer.appendleft(chunk.slice(room))
                    chunk = chunk.slice(0, room)
                chunks.append(chunk)
                room -= chunk.num_rows
                self._bytes -= int(chunk.column("body").nbytes)
            taken = Batch.joined(chunks)
            self._records -= len(taken)
            self.next_taken |= {number: offset + 1 for number, offset in taken.reached().items()}
            has_room = self._bytes < BUFFER_BYTES
        if chunks and has_room and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop ended meanwhile: nobody waits for room
                self._loop.call_soon_threadsafe(self._room.set)
        return taken

    def _is_enough(self, limit: int) -> bool:
        full = self._records >= limit or self._bytes >= BUFFER_BYTES
        return full or not self._is_behind or self.broken is not None

    async def has_passed(self, ends: Positions) -> bool:
        """Say whether Kafka has nothing more to give before `ends`: the last offsets may be marks, and no records."""
        consumer = self._subscribed()
        read = {number: await consumer.position(self._partition(number)) for number in ends}
        return all(read[number] >= following for number, following in ends.items())

    async def seek(self, after: Positions) -> None:
        """Read on after those positions, whatever was read before."""
        consumer = self._subscribed()
        with self._changed:
            self._buffer.clear()
            self._loose.clear()
            self._records = self._bytes = 0
            self._gaps.clear()
            self._asked.clear()
            for number in self.next_read:
                self.next_read[number] = self.next_taken[number] = after.get(number, -1) + 1
        for number, offset in self.next_read.items():
            consumer.seek(self._partition(number), offset)
        consumer.resume(*map(self._partition, self.next_read))
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
        try:
            runs = [
                (partition_number(*place), list(run))
                for place, run in groupby(records, key=lambda record: (record.topic, record.partition))
            ]
            for number, run in runs:
                if self._is_gap(number, run):
                    await self._look_at_gap(number, self.next_read[number])
            is_behind = await self._kafka_has_more()
            # Somebody may have sought meanwhile; from here on nobody can.
            following = [record for number, run in runs for record in self._what_follows(number, run)]
            if following:
                self._keep(following, is_behind=is_behind)
        except FAILURES:
            raise  # FastStream drops it, and the records: the gap that they leave is seen, and read again
        except Exception as error:
            self._fault = error
            self.break_off(f"{type(error).__name__} while taking in records")
            raise
        await self._room.wait()

    async def _kafka_has_more(self) -> bool:
        """Say whether Kafka was seen to hold more than it gave; marks at the end are no more, and passed over."""
        consumer = self._subscribed()
        for partition_ in map(self._partition, self.next_read):
            if (consumer.highwater(partition_) or 0) > await consumer.position(partition_):
                return True
        return False

    def _is_gap(self, number: int, run: list[Record]) -> bool:
        return run[0].offset > self.next_read[number] >= 0 and number not in self._gaps

    def _what_follows(self, number: int, run: list[Record]) -> list[Record]:
        """The records of one partition that come next; none where something else has to come before them."""
        following = self.next_read[number]
        if following < 0 or self._is_gap(number, run):
            return []
        self._gaps.discard(number)
        run = [record for record in run if record.offset >= following]
        if run:
            self.next_read[number] = run[-1].offset + 1
        return run

    def _keep(self, records: list[Record], *, is_behind: bool) -> None:
        with self._changed:
            self._loose += records
            self._records += len(records)
            self._bytes += sum(len(record.value or b"") for record in records)
            if len(self._loose) >= ROWS_A_CHUNK:
                self._bring_into_columns()
            self._is_behind = is_behind
            if self._bytes >= BUFFER_BYTES:
                self._room.clear()
            self._changed.notify_all()

    def _bring_into_columns(self) -> None:
        """Columns take a third of the memory that records do, and of a few records at a time as long as of many."""
        if self._loose:
            self._buffer.extend(batch(self._loose).table.to_batches())
            self._loose.clear()

    async def _look_at_gap(self, number: int, following: int) -> None:
        """Find out whether Kafka dropped what should have come next; if it is still there, read it.

        Where Kafka was asked for it and again gives out what comes after it, there is no record: transactions of
        other programs leave marks that take an offset each.
        """
        consumer, partition_ = self._subscribed(), self._partition(number)
        first = (await consumer.beginning_offsets([partition_]))[partition_]
        if first > following:
            log.error("log_records_lost", topic=partition_.topic, partition=number, first_lost=following, next=first)
            self._gaps.add(number)
        elif self._asked.get(number) == following:
            self._gaps.add(number)
        else:
            self._asked[number] = following
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


async def _linked(records: tuple[Record, ...]) -> KafkaMessage:
    """The same, for middlewares that follow where records come from."""
    message = await _as_it_is(records)
    message.batch_headers = [_text_headers(record) for record in records[:_MOST_LINKS]]
    return message


def _text_headers(record: Record) -> dict[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


async def _raw(message: KafkaMessage) -> object:
    return message.raw_message
