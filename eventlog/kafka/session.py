"""A session with a Kafka cluster: a FastStream batch subscriber to all partitions, which fills a buffer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Self, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as Partition
from faststream.kafka import KafkaBroker, KafkaMessage, TopicPartition
from faststream.kafka.message import FAKE_CONSUMER
from faststream.kafka.subscriber.usecase import LogicSubscriber
from faststream.middlewares import AckPolicy

from eventlog.batch import Positions
from eventlog.kafka.buffer import Buffer
from eventlog.kafka.connection import FAILURES
from eventlog.kafka.internals import Headers, SummedLength, commits_by_itself
from eventlog.kafka.runs import LINKS, RecordRun, yield_columns
from eventlog.kafka.topics import Layout, partition_number
from eventlog.log import LogUnavailableError

_POLL_MS = 20
_FETCH_WAIT_MS = 100
"""How long a broker holds a request while no record comes: a partition that is not in the request waits as long."""

_FETCH_BYTES = 256 << 10
"""Of one partition at a time, compressed: all are read at one pace, so records that land together happened together."""

_FETCH_ALL_BYTES = 4 << 20
"""Of all partitions that one broker leads: unpacked, that is eight times as much, and must be no second buffer."""

log = structlog.get_logger("kafka")


@dataclass(slots=True)
class Session:
    """A subscriber to all partitions, and the buffer that it fills.

    `next_read` is the offset that has to come next from Kafka, by partition; -1 before anybody asked for records.
    """

    broker: KafkaBroker
    layout: Layout
    partitions: dict[str, int]
    buffer: Buffer = field(init=False)
    next_read: Positions = field(default_factory=dict)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _consumer: AIOKafkaConsumer | None = None
    _gaps: set[int] = field(default_factory=set)
    _asked: Positions = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.buffer = Buffer(self._make_room)

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
            fetch_max_bytes=_FETCH_ALL_BYTES,
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            no_reply=True,
            parser=_message_with_links if self.broker.middlewares else _message,
            decoder=_raw,
        )
        subscriber(self._keep_fetched)
        require_manual(self.broker)
        try:
            await self.broker.start()
            self._consumer = subscriber.consumer
            yield_columns(self._subscribed())
            for topic, count in self.partitions.items():
                for number in range(count):
                    self.next_read[partition_number(topic, number)] = -1
            self.buffer.restart(self.next_read)
            # A process that asks only where the log ends reads no records.
            self._subscribed().pause(*map(self._partition, self.next_read))
            yield self
        finally:
            await self.broker.stop()

    async def has_passed(self, ends: Positions) -> bool:
        """Say whether Kafka has no more records before `ends`: the last offsets may be marks of transactions."""
        consumer = self._subscribed()
        read = {number: await consumer.position(self._partition(number)) for number in ends}
        return all(read[number] >= following for number, following in ends.items())

    async def seek(self, after: Positions) -> None:
        """Read on after those positions, and forget the records that were read."""
        consumer = self._subscribed()
        self._gaps.clear()
        self._asked.clear()
        self.next_read = {number: after.get(number, -1) + 1 for number in self.next_read}
        self.buffer.restart(self.next_read)
        for number, offset in self.next_read.items():
            consumer.seek(self._partition(number), offset)
        consumer.resume(*map(self._partition, self.next_read))
        self._room.set()

    async def ends(self) -> Positions:
        """Return the offset that each partition's next record will have."""
        ends = await self._subscribed().end_offsets([self._partition(number) for number in self.next_read])
        return {partition_number(partition.topic, partition.partition): offset for partition, offset in ends.items()}

    def has_more_partitions(self) -> bool:
        """Say whether a topic has got partitions that this session does not read."""
        consumer = self._subscribed()
        known = {topic: consumer.partitions_for_topic(topic) or set() for topic in self.partitions}
        return any(len(known[topic]) > count for topic, count in self.partitions.items())

    def _subscribed(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise LogUnavailableError("not subscribed yet")
        return self._consumer

    def _partition(self, number: int) -> Partition:
        return Partition(*self.layout.topic_and_partition(number))

    async def _keep_fetched(self, runs: Sequence[RecordRun]) -> None:
        """Put the runs of a fetch, one for each partition, into the buffer; wait until it has room again."""
        try:
            for run in runs:
                if self._is_gap(run):
                    await self._examine_gap(run.number, self.next_read[run.number])
            is_behind = await self._is_behind()
            # `seek` may have been called meanwhile; from here on it cannot be.
            following = [each for run in runs for each in self._following_part(run)]
            if following:
                self.buffer.keep(following, is_behind=is_behind)
                if not self.buffer.has_room():
                    self._room.clear()
        except FAILURES:
            raise  # FastStream drops the error and the records; their gap is seen, and read again
        except Exception as error:
            self.buffer.fail(f"{type(error).__name__} while taking in records", error)
            raise
        await self._room.wait()

    def _make_room(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._room.set)

    async def _is_behind(self) -> bool:
        """Say whether Kafka was seen to hold records that it has not given. Marks at the end do not count."""
        consumer = self._subscribed()
        for partition_ in map(self._partition, self.next_read):
            if (consumer.highwater(partition_) or 0) > await consumer.position(partition_):
                return True
        return False

    def _is_gap(self, run: RecordRun) -> bool:
        return run.offsets[0] > self.next_read[run.number] >= 0 and run.number not in self._gaps

    def _following_part(self, run: RecordRun) -> list[RecordRun]:
        """Return the part of a run that comes next; none where other records have to come before it."""
        number = run.number
        following = self.next_read[number]
        if following < 0 or self._is_gap(run):
            return []
        self._gaps.discard(number)
        run = run.since(following)
        if not len(run):
            return []
        self.next_read[number] = run.offsets[-1] + 1
        return [run]

    async def _examine_gap(self, number: int, following: int) -> None:
        """Find out whether Kafka has dropped the record that should have come next; if not, read it.

        Where Kafka was asked for that offset and again gives later ones, there is no record at it: transactions of
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

    FastStream commits before the handler has run by default, and a policy of the broker does not reach all subscribers.
    """
    for subscriber in cast("list[LogicSubscriber[Any]]", broker.subscribers):
        policy = subscriber.ack_policy
        if policy is not AckPolicy.MANUAL or commits_by_itself(subscriber) or subscriber.group_id is not None:
            raise AssertionError(f"{subscriber} has {policy}, expected MANUAL without a group: it would lose records")


async def _message(runs: Sequence[RecordRun]) -> KafkaMessage:
    """Return the runs as a message, without parsing the headers of each record: the runs have read them."""
    return KafkaMessage(raw_message=runs, body=b"", headers=_text_headers(runs[0].headers[0]), consumer=FAKE_CONSUMER)


async def _message_with_links(runs: Sequence[RecordRun]) -> KafkaMessage:
    """Return the same with links, for middlewares that follow where records come from."""
    message = await _message(runs)
    message.raw_message = SummedLength(runs)
    first = islice(chain.from_iterable(run.headers for run in runs), LINKS)
    message.batch_headers = [_text_headers(each) for each in first]
    return message


def _text_headers(headers: Headers) -> dict[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in headers}


async def _raw(message: KafkaMessage) -> object:
    return message.raw_message
